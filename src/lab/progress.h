// The live line on standard error: what runs, for how long, and how long it may still take.
#pragma once

#include <cstdint>
#include <string>

namespace fallow::lab {

// "about 3 min left", "about 40 s left"; empty while there is nothing to estimate from.
std::string time_left(double elapsed_s, double part_done);

class Progress {
 public:
  // Rewrites its line on a terminal; elsewhere prints a line now and then.
  Progress();
  ~Progress();

  // A line that stays.
  void say(const std::string& text);
  // A passing state.
  void show(const std::string& text, std::uint64_t now_ms);

 private:
  void clear();

  bool terminal_;
  bool shown_ = false;
  std::uint64_t last_ms_ = 0;
};

}  // namespace fallow::lab
