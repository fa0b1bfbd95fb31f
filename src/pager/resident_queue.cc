#include "pager/resident_queue.h"

namespace fallow::pager {

void ResidentQueue::add(const Resident& page, std::optional<std::uint32_t> away) {
  // It would have stayed, had there been half as much room again.
  const bool soon = away && *away <= pages_ / 2;
  (soon ? used_ : recent_).push_back(page);
}

std::optional<Resident> ResidentQueue::next() {
  std::deque<Resident>& from = !recent_.empty() && used_.size() <= pages_ / 4 * 3 ? recent_ : used_;
  std::deque<Resident>& queue = from.empty() ? recent_ : from;
  if (queue.empty()) {
    return std::nullopt;
  }
  const Resident page = queue.front();
  queue.pop_front();
  return page;
}

}  // namespace fallow::pager
