#include "pager/page_table.h"

#include "base/check.h"
#include "base/units.h"

namespace fallow::pager {

static_assert(sizeof(Page) == 16);

Status PageTable::add(std::uint64_t begin, std::uint64_t pages) {
  Result<Mapping> memory = Mapping::anonymous(pages * sizeof(Page));
  FALLOW_TRY(memory);
  const bool added = ranges_.emplace(begin, Range{begin, pages, std::move(*memory)}).second;
  CHECK(added);
  return {};
}

void PageTable::remove(std::uint64_t begin) {
  CHECK(ranges_.erase(begin) == 1);
}

Page* PageTable::find(std::uint64_t address) {
  auto at = ranges_.upper_bound(address);
  if (at == ranges_.begin()) {
    return nullptr;
  }
  const Range& range = (--at)->second;
  const std::uint64_t index = (address - range.begin) / kPageSize;
  return index < range.pages ? range.page(index) : nullptr;
}

}  // namespace fallow::pager
