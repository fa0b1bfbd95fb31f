#include "pager/pager.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "base/units.h"
#include "pager/space.h"

namespace fallow::pager {
namespace {

// A fault never waits while this much room is left, and the rest of RAM is used.
std::int64_t low_mark(std::uint64_t ram_pages) {
  return static_cast<std::int64_t>(std::clamp<std::uint64_t>(ram_pages / 32, 32, 1024));
}

Status check_ram_pages(std::uint64_t pages) {
  if (pages < Pager::kRamPagesLeast) {
    return invalid("a RAM limit of " + format_size(pages * kPageSize) +
                   " is too small to work with: give at least " +
                   format_size(Pager::kRamPagesLeast * kPageSize));
  }
  return {};
}

}  // namespace

Pager::Pager(const PagerOptions& options)
    : options_(options),
      ram_pages_(options.ram_pages),
      room_low_(low_mark(options.ram_pages)),
      resident_(options.ram_pages),
      room_(static_cast<std::int64_t>(options.ram_pages)) {}

Result<std::unique_ptr<Pager>> Pager::create(const PagerOptions& options) {
  FALLOW_TRY(check_ram_pages(options.ram_pages));
  std::unique_ptr<Pager> pager(new Pager(options));
  FALLOW_TRY(pager->start());
  return pager;
}

Status Pager::start() {
  Result<Mapping> zeros = Mapping::anonymous(PageLink::kBuffers * kPageSize);
  FALLOW_TRY(zeros);
  zeros_ = std::move(*zeros);
  Result<std::unique_ptr<FaultSource>> source = FaultSource::create(clock_);
  FALLOW_TRY(source);
  source_ = std::move(*source);
  Result<std::unique_ptr<PageStore>> store = PageStore::open(options_.store);
  FALLOW_TRY(store);
  store_ = std::move(*store);
  std::vector<std::unique_ptr<PageLink>> links;
  for (unsigned i = 0; i <= options_.handlers; ++i) {
    Result<std::unique_ptr<PageLink>> link = PageLink::open(*store_);
    FALLOW_TRY(link);
    links.push_back(std::move(*link));
  }
  for (std::unique_ptr<PageLink>& link : links) {
    const bool evicts = &link == &links.back();
    threads_.emplace_back(
        [this, evicts, own = std::move(link)] { evicts ? keep_room(*own) : answer_faults(*own); });
  }
  return {};
}

Pager::~Pager() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  room_made_.notify_all();
  room_wanted_.notify_all();
  if (source_ != nullptr) {
    source_->stop();
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

Result<Pager::SpaceId> Pager::add_space(UserFault faults, std::unique_ptr<PageAccess> access,
                                        bool shared_memory) {
  const std::lock_guard lock(mutex_);
  const auto id = static_cast<SpaceId>(spaces_.size());
  spaces_.push_back(std::make_unique<Space>(
      Space{id, std::move(faults), std::move(access), shared_memory, {}, {}}));
  if (const Status added = source_->add(spaces_.back()->faults, id); !added) {
    spaces_.pop_back();
    return added.error();
  }
  return id;
}

Pager::Space* Pager::find_space(SpaceId id) {
  return id < spaces_.size() ? spaces_[id].get() : nullptr;
}

Status Pager::watch(SpaceId id, std::uint64_t begin, std::uint64_t pages) {
  const std::lock_guard lock(mutex_);
  Space* space = find_space(id);
  CHECK(space != nullptr);
  FALLOW_TRY(space->table.add(begin, pages));
  const int error = space->faults.watch(begin, pages * kPageSize, space->shared_memory);
  if (error != 0) {
    space->table.remove(begin);
    return failed_errno("userfaultfd does not take this memory", -error);
  }
  return {};
}

void Pager::forget(SpaceId id, std::uint64_t begin) {
  Lock lock(mutex_);
  Space* space = find_space(id);
  CHECK(space != nullptr);
  const auto range = space->table.ranges().find(begin);
  CHECK(range != space->table.ranges().end());
  for (std::uint64_t i = 0; i < range->second.pages; ++i) {
    Page& page = *range->second.page(i);
    room_made_.wait(lock, [&page] {
      return page.state == PageState::kUntouched || page.state == PageState::kResident ||
             page.state == PageState::kStored;
    });
    if (page.slot != kNoSlot) {
      slots_.release(page.slot);
    }
    room_ += page.state == PageState::kResident;
    page = {};
  }
  space->table.remove(begin);
  room_wanted_.notify_one();
}

void Pager::enqueue(Space& space, std::uint64_t address, Page& page) {
  const bool was_away = page.left_at != 0;
  page.stamp = ++stamps_;
  resident_.add({space.id, page.stamp, address},
                was_away
                    ? std::optional(static_cast<std::uint32_t>(counts_.evictions) - page.left_at)
                    : std::nullopt);
}

// A page that was to leave does not.
void Pager::stay(Space& space, std::uint64_t address, Page& page) {
  page.state = PageState::kResident;
  page.stamp = ++stamps_;
  resident_.add_again({space.id, page.stamp, address});
}

void Pager::wake_if_wanted(Space& space, std::uint64_t address, Page& page) {
  if (page.wanted) {
    page.wanted = false;
    space.faults.wake(address, kPageSize);
  }
}

Status Pager::set_ram_pages(std::uint64_t pages) {
  FALLOW_TRY(check_ram_pages(pages));
  const std::lock_guard lock(mutex_);
  room_ += static_cast<std::int64_t>(pages) - static_cast<std::int64_t>(ram_pages_);
  ram_pages_ = pages;
  room_low_ = low_mark(pages);
  resident_.set_pages(pages);
  room_made_.notify_all();
  room_wanted_.notify_one();
  return {};
}

PagerStatistics Pager::statistics() const {
  const std::lock_guard lock(mutex_);
  PagerStatistics all = counts_;
  all.ram_pages = ram_pages_;
  all.resident = static_cast<std::uint64_t>(static_cast<std::int64_t>(ram_pages_) - room_);
  all.in_fallow = slots_.in_fallow();
  all.in_file = slots_.in_file();
  all.latency_ns = latency_.snapshot();
  return all;
}

}  // namespace fallow::pager
