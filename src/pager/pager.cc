#include "pager/pager.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "base/units.h"
#include "pager/pace.h"
#include "pager/space.h"

namespace fallow::pager {
namespace {

constexpr std::uint64_t kForkGraceNs = 1'000'000'000;

std::uint64_t file_pages_max(const StoreOptions& options) {
  return options.backing_bytes_max == 0 ? kInFile : options.backing_bytes_max / kPageSize;
}

}  // namespace

Status Pager::check_ram_pages(std::uint64_t pages) {
  if (pages < Pager::kRamPagesLeast) {
    return invalid("a RAM limit of " + format_size(pages * kPageSize) +
                   " is too small to work with: give at least " +
                   format_size(Pager::kRamPagesLeast * kPageSize));
  }
  return {};
}

Pager::Pager(const PagerOptions& options)
    : options_(options),
      slots_(file_pages_max(options.store)),
      ram_pages_(options.ram_pages),
      room_low_(static_cast<std::int64_t>(low_mark(options.ram_pages))),
      resident_(options.ram_pages),
      monitor_(options.ram_pages),
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
  if (!options_.trace_path.empty()) {
    FALLOW_TRY(monitor_.trace_to(options_.trace_path));
  }
  Result<std::unique_ptr<FaultSource>> source = FaultSource::create(clock_);
  FALLOW_TRY(source);
  source_ = std::move(*source);
  Result<std::unique_ptr<PageStore>> store = PageStore::open(options_.store, clock_);
  FALLOW_TRY(store);
  store_ = std::move(*store);
  std::vector<std::unique_ptr<PageLink>> links;
  for (unsigned i = 0; i < options_.handlers + 2; ++i) {
    Result<std::unique_ptr<PageLink>> link = PageLink::open(*store_);
    FALLOW_TRY(link);
    links.push_back(std::move(*link));
  }
  own_link_ = std::move(links.back());
  links.pop_back();
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
  const SpaceId id = next_space_++;
  auto space = std::make_shared<Space>(id, std::move(faults), shared_memory, std::move(access));
  FALLOW_TRY(source_->add(space->faults, id));
  spaces_.emplace(id, std::move(space));
  return id;
}

// From here on no page of it is chosen to leave, and no fault of it waits for room.
void Pager::start_holding(Space& space) {
  ++space.held;
  room_made_.notify_all();
}

void Pager::remove_space(SpaceId id) {
  Lock lock(mutex_);
  const SpacePtr space = find_space(id);
  if (space == nullptr) {
    return;
  }
  start_holding(*space);
  // Who evicts has the space in hand even where a write has called all its pages off, and reads its
  // memory, which must be answered for until then.
  room_made_.wait(lock, [&space] { return space->leaving == 0; });
  lock.unlock();
  source_->remove(space->faults);
  // A fork that was read of before has been answered by now, from what is about to be forgotten.
  std::shared_lock(filling_).unlock();
  lock.lock();
  for (const PageTable::Span& span : space->table.all()) {
    forget_pages(lock, *space, span.begin, span.pages.size());
  }
  spaces_.erase(id);
}

void Pager::look_after_spaces() {
  std::vector<SpacePtr> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, space] : spaces_) {
      all.push_back(space);
      if (space->counts_from_ns != 0 && clock_.now_ns() >= space->counts_from_ns) {
        space->counts_from_ns = 0;
        count_all(*space);
      }
    }
  }
  for (const SpacePtr& space : all) {
    if (!space->faults.alive()) {
      remove_space(space->id);
    }
  }
}

std::size_t Pager::spaces() const {
  const std::lock_guard lock(mutex_);
  return spaces_.size();
}

bool Pager::has_space(SpaceId id) const {
  const std::lock_guard lock(mutex_);
  return find_space(id) != nullptr;
}

Pager::SpacePtr Pager::find_space(SpaceId id) const {
  const auto at = spaces_.find(id);
  return at != spaces_.end() ? at->second : nullptr;
}

Status Pager::watch(SpaceId id, std::uint64_t begin, std::uint64_t pages) {
  const std::lock_guard lock(mutex_);
  const SpacePtr space = find_space(id);
  CHECK(space != nullptr);
  FALLOW_TRY(space->table.add(begin, pages));
  const int error = space->faults.watch(begin, pages * kPageSize, space->shared_memory);
  if (error != 0) {
    space->table.remove(begin, pages);
    return failed_errno("userfaultfd does not take this memory", -error);
  }
  return {};
}

Status Pager::resume(SpaceId id, std::span<const Kept> ranges) {
  const std::lock_guard lock(mutex_);
  const SpacePtr space = find_space(id);
  CHECK(space != nullptr);
  for (const Kept& range : ranges) {
    const std::uint64_t bytes = range.pages.size_bytes() / sizeof(Page) * kPageSize;
    if (const int error = space->faults.watch(range.begin, bytes, true); error != 0) {
      return failed_errno("userfaultfd does not take this memory", -error);
    }
  }
  // Only now: what is in RAM from here on has been told of by a fault.
  for (const Kept& range : ranges) {
    take_over(*space, range);
  }
  slots_.restored();
  for (const Kept& range : ranges) {
    // Who was waiting for a pager before this one says it again.
    space->faults.wake(range.begin, range.pages.size() * kPageSize);
  }
  room_wanted_.notify_one();
  return {};
}

// What is in RAM is there whatever the records say: it was brought in, or had not left yet. What is
// not there and has a slot, is in it (page_table.h).
void Pager::take_over(Space& space, const Kept& range) {
  space.table.add(range.begin, range.memory, range.pages);
  for (Page& page : range.pages) {
    const bool has_left = page.state == PageState::kStored || page.state == PageState::kDropping ||
                          page.state == PageState::kFilling;
    // In place, as this pager may be killed here, too.
    page.state = has_left && page.slot != kNoSlot ? PageState::kStored : PageState::kUntouched;
    page.slot = page.state == PageState::kStored ? page.slot : kNoSlot;
    page.stamp = page.left_at = 0;
    page.is_protected = page.wanted = page.uncounted = false;
  }
  for (const Run& run : space.access->present({range.begin, range.pages.size()})) {
    for (std::uint64_t i = 0; i < run.pages; ++i) {
      const std::uint64_t address = run.begin + i * kPageSize;
      Page& page = *space.table.find(address);
      page = {};
      page.state = PageState::kResident;
      --room_;
      enqueue(space, address, page);
    }
  }
  for (const Page& page : range.pages) {
    if (page.state == PageState::kStored) {
      slots_.restore(page.slot);
    }
  }
}

bool Pager::is_settled(const Page& page) {
  return page.state == PageState::kUntouched || page.state == PageState::kResident ||
         page.state == PageState::kStored;
}

// Until nobody does anything with the page.
void Pager::wait_settled(Lock& lock, const Page& page) {
  room_made_.wait(lock, [&page] { return is_settled(page); });
}

void Pager::drop_slot(Page& page) {
  if (page.slot != kNoSlot) {
    slots_.release(page.slot);
    page.slot = kNoSlot;
  }
}

void Pager::drop_content(Page& page) {
  drop_slot(page);
  room_ += page.state == PageState::kResident && !page.uncounted;
  page = {};
}

// While it waits for one page, a fault that was answered long ago but is only read now, or one
// close by, may take up another page once more: then it goes over them again.
bool Pager::forget_pages(Lock& lock, Space& space, std::uint64_t begin, std::uint64_t pages) {
  const std::vector<PageTable::Span> spans = space.table.within(begin, pages);
  for (bool waited = true; waited;) {
    waited = false;
    for (const PageTable::Span& span : spans) {
      for (Page& page : span.pages) {
        if (!is_settled(page)) {
          wait_settled(lock, page);
          waited = true;
        }
        drop_content(page);
      }
    }
  }
  space.table.remove(begin, pages);
  room_made_.notify_all();
  return !spans.empty();
}

bool Pager::forget(SpaceId id, std::uint64_t begin, std::uint64_t pages) {
  Lock lock(mutex_);
  const SpacePtr space = find_space(id);
  CHECK(space != nullptr);
  return forget_pages(lock, *space, begin, pages);
}

bool Pager::discard(SpaceId id, std::uint64_t begin, std::uint64_t pages) {
  Lock lock(mutex_);
  const SpacePtr space = find_space(id);
  CHECK(space != nullptr);
  const std::vector<PageTable::Span> spans = space->table.within(begin, pages);
  for (const PageTable::Span& span : spans) {
    for (Page& page : span.pages) {
      if (page.state != PageState::kUntouched) {
        wait_settled(lock, page);
        drop_content(page);
      }
    }
  }
  room_made_.notify_all();
  return !spans.empty();
}

bool Pager::watches(SpaceId id, std::uint64_t begin, std::uint64_t pages) const {
  const std::lock_guard lock(mutex_);
  const SpacePtr space = find_space(id);
  CHECK(space != nullptr);
  return !space->table.within(begin, pages).empty();
}

bool Pager::let_go(SpaceId id, std::uint64_t begin, std::uint64_t pages) {
  Lock lock(mutex_);
  const SpacePtr space = find_space(id);
  CHECK(space != nullptr);
  start_holding(*space);
  bool done = bring_in(lock, *space, begin, pages);
  for (const PageTable::Span& span : space->table.within(begin, pages)) {
    done = done && space->faults.unwatch(span.begin, span.pages.size() * kPageSize) == 0;
  }
  if (done) {
    forget_pages(lock, *space, begin, pages);
  }
  lock.unlock();
  release(id);
  return done;
}

bool Pager::hold(SpaceId id) {
  Lock lock(mutex_);
  const SpacePtr space = find_space(id);
  CHECK(space != nullptr);
  start_holding(*space);
  bool done = true;
  for (const PageTable::Span& span : space->table.all()) {
    done = bring_in(lock, *space, span.begin, span.pages.size()) && done;
  }
  return done;
}

bool Pager::release(SpaceId id) {
  const std::lock_guard lock(mutex_);
  const SpacePtr space = find_space(id);
  CHECK(space != nullptr);
  if (space->held == 0) {
    return false;
  }
  if (--space->held == 0) {
    count_all(*space);
  }
  return true;
}

// What was let in beside the limit counts from now on.
void Pager::count_all(Space& space) {
  for (const PageTable::Span& span : space.table.all()) {
    for (Page& page : span.pages) {
      if (page.state == PageState::kResident && page.uncounted) {
        page.uncounted = false;
        --room_;
        stay(space, span.address(page), page);
      }
    }
  }
  room_wanted_.notify_one();
}

// The kernel has copied what was in RAM, and the process that was forked does not run yet. What of
// the parent is on its way in has not been copied; what is on its way out may have been.
void Pager::on_fork(const Space& parent, int descriptor) {
  Result<UserFault> faults = UserFault::adopt(UniqueFd(descriptor));
  CHECK(static_cast<bool>(faults));
  const std::lock_guard lock(mutex_);
  const SpaceId id = next_space_++;
  auto child = std::make_shared<Space>(id, std::move(*faults), parent.shared_memory, nullptr);
  for (const PageTable::Span& span : parent.table.all()) {
    CHECK(child->table.add(span.begin, span.pages.size()));
    Page* copies = child->table.find(span.begin);
    for (const Page& page : span.pages) {
      Page& copy = *copies++;
      const bool there = page.state == PageState::kResident || page.state == PageState::kSaving;
      if (!there && page.slot == kNoSlot) {
        continue;
      }
      copy.slot = page.slot;
      if (copy.slot != kNoSlot) {
        slots_.share(copy.slot);
      }
      copy.left_at = page.left_at;
      copy.state = there ? PageState::kResident : PageState::kStored;
      copy.is_protected = there && page.is_protected;
      copy.uncounted = there;
    }
  }
  CHECK(source_->add(child->faults, id));
  spaces_.emplace(id, std::move(child));
}

std::optional<Pager::SpaceId> Pager::adopt_fork(std::uint32_t thread,
                                                std::unique_ptr<PageAccess> access) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, space] : spaces_) {
    if (space->access == nullptr && space->thread == thread) {
      space->access = std::move(access);
      space->counts_from_ns = clock_.now_ns() + kForkGraceNs;
      return id;
    }
  }
  return std::nullopt;
}

int Pager::descriptor(SpaceId id) const {
  const std::lock_guard lock(mutex_);
  const SpacePtr space = find_space(id);
  return space != nullptr ? space->faults.fd() : -1;
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
  room_low_ = static_cast<std::int64_t>(low_mark(pages));
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
  all.resident_max = std::max(resident_max_, all.resident);
  all.in_fallow = slots_.in_fallow();
  all.in_file = slots_.in_file();
  all.file_requests = store_->file().requests();
  all.backing_speed = options_.store.backing_speed;
  all.latency_ns = latency_.snapshot();
  return all;
}

}  // namespace fallow::pager
