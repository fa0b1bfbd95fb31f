#include "lab/progress.h"

#include <unistd.h>

#include <cstdio>

namespace fallow::lab {
namespace {

constexpr double kEstimateFrom = 0.02;
constexpr std::uint64_t kLineEveryMs = 10'000;

}  // namespace

std::string time_left(double elapsed_s, double part_done) {
  if (part_done < kEstimateFrom || part_done > 1) {
    return "";
  }
  const double left_s = elapsed_s / part_done - elapsed_s;
  const bool minutes = left_s >= 90;
  return "about " + std::to_string(static_cast<int>(minutes ? left_s / 60 + 0.5 : left_s + 0.5)) +
         (minutes ? " min left" : " s left");
}

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  clear();
}

void Progress::clear() {
  if (terminal_ && shown_) {
    std::fputs("\r\033[K", stderr);
  }
  shown_ = false;
}

void Progress::say(const std::string& text) {
  clear();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void Progress::show(const std::string& text, std::uint64_t now_ms) {
  if (terminal_) {
    clear();
    std::fputs(text.c_str(), stderr);
    shown_ = true;
  } else if (now_ms >= last_ms_ + kLineEveryMs) {
    std::fprintf(stderr, "%s\n", text.c_str());
    last_ms_ = now_ms;
  }
}

}  // namespace fallow::lab
