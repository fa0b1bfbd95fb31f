// What a workload says while it runs, a line each, in the form that src/lab/workload_line.h reads:
//
//   attempt BYTES                      about to take that much memory
//   step BYTES MILLISECONDS ...        it went over that memory once
//   phase NAME MILLISECONDS ...        a part of the work that was done once
//   done ...                           all is done and was verified; or
//   error TEXT                         why it was not
#pragma once

#include <cstdint>
#include <cstdio>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::guests {

std::uint64_t now_ms();

[[gnu::format(printf, 1, 2)]] std::string printed(const char* format, ...);

void print_attempt(std::uint64_t bytes);
void print_step(std::uint64_t bytes, std::uint64_t milliseconds, const std::string& rest = "");
void print_phase(std::string_view name, std::uint64_t milliseconds, const std::string& rest = "");
void print_done(const std::string& rest);
int print_error(const std::string& text);  // returns the exit code, 1

// A program's main(). Exit codes: what `body` says; 2 for wrong use. Parsed has a member `help`.
template <typename Parsed>
int run_program(int argc, char** argv,
                std::variant<Parsed, std::string> (*parse)(std::span<const char* const>),
                std::string_view help, int (*body)(const Parsed&)) {
  const std::variant<Parsed, std::string> parsed =
      parse({argv + 1, static_cast<std::size_t>(argc - 1)});
  if (const auto* error = std::get_if<std::string>(&parsed)) {
    std::fprintf(stderr, "%s\n", error->c_str());
    return 2;
  }
  const auto& options = std::get<Parsed>(parsed);
  if (options.help) {
    std::fwrite(help.data(), 1, help.size(), stdout);
    return 0;
  }
  // A line at a time: whoever drives the scenario acts on them as they come.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  try {
    return body(options);
  } catch (const std::bad_alloc&) {
    return print_error("no memory: use a smaller size");
  }
}

}  // namespace fallow::guests
