#include "pager/page_table.h"

#include <algorithm>

#include "base/check.h"

namespace fallow::pager {

static_assert(sizeof(Page) == 16);

Status PageTable::add(std::uint64_t begin, std::uint64_t pages) {
  Result<Mapping> memory = Mapping::anonymous(pages * sizeof(Page));
  FALLOW_TRY(memory);
  auto shared = std::make_shared<const Mapping>(std::move(*memory));
  const std::span<Page> all(reinterpret_cast<Page*>(shared->data()), pages);
  add(begin, std::move(shared), all);
  return {};
}

void PageTable::add(std::uint64_t begin, std::shared_ptr<const Mapping> memory,
                    std::span<Page> pages) {
  CHECK(ranges_.emplace(begin, Range{std::move(memory), pages}).second);
}

void PageTable::remove(std::uint64_t begin, std::uint64_t pages) {
  for (const Span& span : within(begin, pages)) {
    const auto at = std::prev(ranges_.upper_bound(span.begin));
    const Range range = at->second;
    const auto before = static_cast<std::size_t>(span.pages.data() - range.pages.data());
    const std::size_t behind = range.pages.size() - before - span.pages.size();
    if (behind > 0) {
      ranges_.emplace(span.begin + span.pages.size() * kPageSize,
                      Range{range.memory, range.pages.last(behind)});
    }
    if (before > 0) {
      at->second.pages = range.pages.first(before);
    } else {
      ranges_.erase(at);
    }
  }
}

Page* PageTable::find(std::uint64_t address) {
  auto at = ranges_.upper_bound(address);
  if (at == ranges_.begin()) {
    return nullptr;
  }
  --at;
  const std::uint64_t index = (address - at->first) / kPageSize;
  return index < at->second.pages.size() ? &at->second.pages[index] : nullptr;
}

std::vector<PageTable::Span> PageTable::within(std::uint64_t begin, std::uint64_t pages) const {
  const std::uint64_t end = begin + pages * kPageSize;
  std::vector<Span> spans;
  auto at = ranges_.upper_bound(begin);
  at = at == ranges_.begin() ? at : std::prev(at);
  for (; at != ranges_.end() && at->first < end; ++at) {
    const std::uint64_t range_end = at->first + at->second.pages.size() * kPageSize;
    const std::uint64_t from = std::max(at->first, begin);
    const std::uint64_t to = std::min(range_end, end);
    if (from < to) {
      spans.push_back({from, at->second.pages.subspan((from - at->first) / kPageSize,
                                                      (to - from) / kPageSize)});
    }
  }
  return spans;
}

std::vector<PageTable::Span> PageTable::all() const {
  std::vector<Span> spans;
  for (const auto& [begin, range] : ranges_) {
    spans.push_back({begin, range.pages});
  }
  return spans;
}

}  // namespace fallow::pager
