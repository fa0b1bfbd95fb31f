// The marks of a recorded run: when each VM began, ended and passed what others wait for, and what
// waited for what. So that a replay knows what began because something else had happened.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/scenario.h"
#include "lab/workload_line.h"
#include "recording/operations.h"

namespace fallow::lab {

// Times are nanoseconds since the recording began, and do not go back. The scenario must outlive
// it.
class MarkBook {
 public:
  explicit MarkBook(const Scenario& scenario) : scenario_(scenario) {}

  void begin(std::size_t vm, const Trigger& why, std::uint64_t at_ns);
  void end(std::size_t vm, std::uint64_t at_ns);
  void stop(std::size_t vm, const Trigger& why, std::uint64_t at_ns);
  void take(std::size_t vm, const GuestLine& line, std::uint64_t at_ns);

  [[nodiscard]] const std::vector<recording::Mark>& marks() const { return marks_; }

 private:
  // What a VM has come to, by the number of its mark.
  struct Point {
    std::size_t vm;
    Trigger::Kind kind;
    std::uint64_t bytes;
    std::string phase;
    std::uint32_t mark;
  };
  recording::Mark& add(recording::MarkKind kind, std::size_t vm, std::uint64_t at_ns);
  void wait_for(recording::Mark& mark, const Trigger& why) const;
  void wait_from_beginning(recording::Mark& mark) const;

  const Scenario& scenario_;
  std::vector<recording::Mark> marks_;
  std::vector<Point> points_;
};

}  // namespace fallow::lab
