#include "lab/mark_book.h"

#include <algorithm>

namespace fallow::lab {

using recording::Mark;
using recording::MarkKind;

Mark& MarkBook::add(MarkKind kind, std::size_t vm, std::uint64_t at_ns) {
  marks_.push_back({.at_ns = at_ns,
                    .id = static_cast<std::uint32_t>(marks_.size() + 1),
                    .kind = kind,
                    .client = scenario_.vms[vm].name});
  return marks_.back();
}

void MarkBook::begin(std::size_t vm, const Trigger& why, std::uint64_t at_ns) {
  wait_for(add(MarkKind::kBegin, vm, at_ns), why);
}

void MarkBook::end(std::size_t vm, std::uint64_t at_ns) {
  points_.push_back({vm, Trigger::Kind::kEnd, 0, {}, add(MarkKind::kEnd, vm, at_ns).id});
}

void MarkBook::stop(std::size_t vm, const Trigger& why, std::uint64_t at_ns) {
  Mark& mark = add(MarkKind::kStop, vm, at_ns);
  wait_for(mark, why);
  if (why.kind == Trigger::Kind::kBegin) {
    wait_from_beginning(mark);
  }
}

void MarkBook::take(std::size_t vm, const GuestLine& line, std::uint64_t at_ns) {
  if (line.kind == LineKind::kAttempt) {
    const std::uint32_t mark = add(MarkKind::kPoint, vm, at_ns).id;
    points_.push_back({vm, Trigger::Kind::kAttempt, line.number, {}, mark});
  } else if (line.kind == LineKind::kPhase) {
    const std::uint32_t mark = add(MarkKind::kPoint, vm, at_ns).id;
    points_.push_back({vm, Trigger::Kind::kPhase, 0, line.name, mark});
  }
}

// A stop waits for something, always. The scenario's beginning has no mark, but the VM that began
// first waited for nothing else: the mark is set so long after it.
void MarkBook::wait_from_beginning(Mark& mark) const {
  const auto first = std::find_if(marks_.begin(), marks_.end(),
                                  [](const Mark& one) { return one.kind == MarkKind::kBegin; });
  if (first != marks_.end()) {
    mark.after.push_back(first->id);
    mark.delay_ns -= std::min(mark.delay_ns, first->delay_ns);
  }
}

// Of each VM the first that was enough; of the ends, the last.
void MarkBook::wait_for(Mark& mark, const Trigger& why) const {
  mark.delay_ns = why.delay_ns;
  for (const std::size_t vm : why.vms) {
    const auto enough = [&](const Point& point) {
      return point.vm == vm && point.kind == why.kind && point.bytes >= why.bytes &&
             point.phase == why.phase;
    };
    if (why.kind == Trigger::Kind::kEnd) {
      const auto found = std::find_if(points_.rbegin(), points_.rend(), enough);
      if (found != points_.rend()) {
        mark.after.push_back(found->mark);
      }
    } else {
      const auto found = std::find_if(points_.begin(), points_.end(), enough);
      if (found != points_.end()) {
        mark.after.push_back(found->mark);
      }
    }
  }
}

}  // namespace fallow::lab
