#include "common/report.h"

#include <cstdarg>
#include <ctime>

namespace fallow::guests {
namespace {

void print(const std::string& line, const std::string& rest) {
  std::printf("%s%s%s\n", line.c_str(), rest.empty() ? "" : " ", rest.c_str());
}

}  // namespace

std::uint64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

std::string printed(const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  return text;
}

void print_attempt(std::uint64_t bytes) {
  print("attempt " + std::to_string(bytes), "");
}

void print_step(std::uint64_t bytes, std::uint64_t milliseconds, const std::string& rest) {
  print("step " + std::to_string(bytes) + " " + std::to_string(milliseconds), rest);
}

void print_phase(std::string_view name, std::uint64_t milliseconds, const std::string& rest) {
  print("phase " + std::string(name) + " " + std::to_string(milliseconds), rest);
}

void print_done(const std::string& rest) {
  print("done", rest);
}

int print_error(const std::string& text) {
  print("error " + text, "");
  return 1;
}

}  // namespace fallow::guests
