// How pages leave RAM (pager.h).
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/units.h"
#include "pager/space.h"

namespace fallow::pager {
namespace {

constexpr std::size_t kBatch = PageLink::kBuffers;
constexpr std::size_t kBatchLeast = 32;
constexpr std::chrono::milliseconds kTryAgain{50};
// After so many tries nothing can leave any more, and who waits for room is told.
constexpr unsigned kRoundsInVain = 4;
constexpr std::uint64_t kRestNs = 1'000'000'000;

// Calls `each(first, last)` for the victims that lie next to each other and that `fits` holds for.
template <typename Victims, typename Fits, typename Each>
void for_runs(Victims& victims, Fits fits, Each each) {
  for (std::size_t i = 0; i < victims.size();) {
    std::size_t end = i + 1;
    if (fits(victims[i])) {
      while (end < victims.size() && fits(victims[end]) && victims[end].space == victims[i].space &&
             victims[end].address == victims[end - 1].address + kPageSize) {
        ++end;
      }
      each(i, end);
    }
    i = end;
  }
}

}  // namespace

// A page on its way out. The thread that evicts is the only one, so a page that is kSaving or
// kDropping is one of its own. One that was called off may have been forgotten since.
struct Pager::Victim {
  Space* space;  // stays for as long as this counts among its `leaving`
  std::uint64_t address;
  Page* page;
  bool clean;            // the slot that it has is good
  bool offered;          // clean, and the daemon may have it all the same
  bool probe;            // not for room: it is not worth a disk's time
  Slot slot = kNoSlot;   // a new one
  bool absent = false;   // the program has given it back without a word
  bool frozen = false;   // its content was read
  bool saved = false;    // the new slot has it
  bool refused = false;  // it does not take it
  bool gone = false;
};

void Pager::keep_room(PageLink& link) {
  Lock lock(mutex_);
  for (unsigned in_vain = 0; !stopping_;) {
    const bool more = look_around(lock, link);
    if (room_ >= room_low_) {
      flush_dead(lock, link);
      const auto wanted = [&] { return more || stopping_ || room_ < room_low_; };
      room_wanted_.wait_for(lock, kTryAgain, wanted);
      continue;
    }
    std::size_t left = 1;
    bool refused = false;
    while (!stopping_ && left > 0 && room_ < 2 * room_low_) {
      left = evict(lock, link, choose(), refused);
      look_around(lock, link);
    }
    in_vain = refused && left == 0 ? in_vain + 1 : 0;
    if (left == 0) {
      stuck_ = room_ <= 0 && in_vain >= kRoundsInVain;
      room_made_.notify_all();
      flush_dead(lock, link);
      room_wanted_.wait_for(lock, kTryAgain, [this] { return stopping_ || exchanged_; });
      exchanged_ = false;
    }
  }
}

// What is to be done from time to time, however short room is. True: more pages can be moved at
// once.
bool Pager::look_around(Lock& lock, PageLink& link) {
  look_at_use(lock, link);
  look_at_removed();
  look_at_target(lock, link);
  return demote(lock, link);
}

// Takes out pages to see whether they are used; only to the daemon, as one that comes back from a
// disk would cost more than is learned.
void Pager::probe(Lock& lock, PageLink& link, std::uint64_t now_ns) {
  std::vector<Victim> victims;
  std::vector<Resident> chosen;
  while (victims.size() < MemoryMonitor::kProbesMost && chosen.size() < MemoryMonitor::kLooksMost) {
    const std::optional<Resident> page = monitor_.probe();
    if (!page) {
      break;
    }
    chosen.push_back(*page);
    add_victim(victims, *page, true);
  }
  const std::uint64_t before = counts_.evictions;
  bool refused = false;
  evict(lock, link, std::move(victims), refused);
  counts_.probes += counts_.evictions - before;
  for (const Resident& one : chosen) {
    const SpacePtr space = find_space(one.space);
    const Page* page = space != nullptr ? space->table.find(one.address) : nullptr;
    if (page != nullptr && page->state == PageState::kResident) {
      monitor_.stayed({one.space, page->stamp, one.address});
    }
  }
  next_probes_ns_ =
      now_ns + (refused ? MemoryMonitor::kProbeRestNs : MemoryMonitor::kProbePeriodNs);
}

// Follows what is used, and tells the daemon what it came to.
void Pager::look_at_use(Lock& lock, PageLink& link) {
  const std::uint64_t now_ns = clock_.now_ns();
  if (now_ns >= next_probes_ns_ && !stuck_ && store_->client() != nullptr) {
    probe(lock, link, now_ns);
  }
  if (now_ns >= next_age_ns_) {
    next_age_ns_ = now_ns + MemoryMonitor::kAgePeriodNs;
    monitor_.age();
    report_ = {};
    monitor_.report(report_);
  }
  if (now_ns >= next_report_ns_) {
    next_report_ns_ = now_ns + kReportPeriodNs;
    fallow_memory_report report = report_;
    report.ram_limit_pages = ram_pages_;
    report.resident_pages =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(ram_pages_) - room_);
    report.faults_total = counts_.faults;
    report.evictions_total = counts_.evictions;
    report.prefetched_total = counts_.prefetched;
    report.prefetch_hits_total = counts_.prefetch_hits;
    report.backing_pages = slots_.in_file();
    report.backing_reads_total = store_->pages_read();
    report.backing_wait_ns_total = store_->file().read_ns();
    lock.unlock();
    link.report(report);
    lock.lock();
  }
}

// A program that gives pages back is told of before it does, and some only unmap them: what of them
// is gone by now. Nobody else brings a page in that is said to be in RAM, so that what is seen
// holds.
void Pager::look_at_removed() {
  for (const auto& [id, space] : spaces_) {
    const std::uint64_t now_ns = clock_.now_ns();
    bool looked = false;
    for (; !space->removed.empty() && space->removed.front().look_ns <= now_ns; looked = true) {
      drop_given_back(*space, space->removed.front().pages);
      space->removed.pop_front();
    }
    if (looked) {
      room_made_.notify_all();
    }
  }
}

void Pager::drop_given_back(Space& space, const Run& run) {
  for (const PageTable::Span& span : space.table.within(run.begin, run.pages)) {
    const std::vector<Run> there = space.access->present({span.begin, span.pages.size()});
    auto at = there.begin();
    for (Page& page : span.pages) {
      const std::uint64_t address = span.address(page);
      while (at != there.end() && address >= at->begin + at->pages * kPageSize) {
        ++at;
      }
      const bool is_there = at != there.end() && address >= at->begin;
      if (!is_there && page.state == PageState::kResident) {
        drop_content(page);
      }
    }
  }
}

// Tells the daemon which pages nobody wants any more.
void Pager::flush_dead(Lock& lock, PageLink& link) {
  std::vector<Slot> dead;
  slots_.take_dead(dead, kBatch);
  if (dead.empty()) {
    return;
  }
  lock.unlock();
  link.flush(dead);
  lock.lock();
  for (const Slot slot : dead) {
    slots_.flushed(slot);
  }
}

// How many pages have left. `refused`: nobody took a page that was to.
std::size_t Pager::evict(Lock& lock, PageLink& link, std::vector<Victim> victims, bool& refused) {
  if (victims.empty()) {
    return 0;
  }
  std::sort(victims.begin(), victims.end(), [](const Victim& a, const Victim& b) {
    return std::tuple(a.space->id, a.address) < std::tuple(b.space->id, b.address);
  });
  save(lock, victims, link);
  const std::size_t given_back = drop_absent(victims);
  std::vector<Victim> leaving;
  std::vector<Victim> staying;
  std::vector<Slot> freed;  // of the file, and nobody's before this thread gives out others
  for (Victim& victim : victims) {
    const bool called_off = !still_leaving(victim);
    refused = refused || (victim.frozen && !victim.clean && !victim.saved);
    const bool goes = !called_off && (victim.clean || victim.saved);
    give_slot(victim, goes, freed);
    if (goes) {
      // Were this process killed now, the page would be in its slot, or not have left.
      std::atomic_signal_fence(std::memory_order_seq_cst);
      victim.page->state = PageState::kDropping;
      leaving.push_back(victim);
    } else if (!called_off) {
      victim.page->state = PageState::kFilling;
      staying.push_back(victim);
    }
  }
  lock.unlock();
  for (Victim& victim : staying) {
    if (victim.frozen) {
      // Where it cannot be lifted now, the next write finds it and tries again.
      (void)victim.space->faults.protect(victim.address, kPageSize, false);
    }
  }
  drop(leaving);
  std::sort(freed.begin(), freed.end());
  link.punch(freed);
  lock.lock();
  for (const Victim& victim : staying) {
    stay(*victim.space, victim.address, *victim.page);
    wake_if_wanted(*victim.space, victim.address, *victim.page);
  }
  std::size_t gone = 0;
  for (const Victim& victim : leaving) {
    Page& page = *victim.page;
    if (!victim.gone) {  // its slot is good as long as nobody writes to it
      page.is_protected = true;
      victim.space->rests_until_ns = clock_.now_ns() + kRestNs;
      stay(*victim.space, victim.address, page);
      wake_if_wanted(*victim.space, victim.address, page);
      continue;
    }
    ++gone;
    page.state = PageState::kStored;
    page.is_protected = false;
    ++counts_.evictions;
    counts_.evictions_clean += victim.clean;
    page.left_at = static_cast<std::uint32_t>(counts_.evictions);
    wake_if_wanted(*victim.space, victim.address, page);
  }
  for (const Victim& victim : victims) {
    --victim.space->leaving;
  }
  room_ += static_cast<std::int64_t>(gone);
  stuck_ = stuck_ && room_ <= 0;
  room_made_.notify_all();
  return gone + given_back;
}

// Looks for the page again: called off, it was nobody's to keep, and its table may be gone.
bool Pager::still_leaving(const Victim& victim) {
  const Page* page = victim.space->table.find(victim.address);
  return page != nullptr && page->state == PageState::kSaving;
}

// Whether the page may be on its way out by itself: it must not be saved then, or it would come
// back with the content that was given up.
bool Pager::being_removed(const Space& space, std::uint64_t address) {
  return std::any_of(space.removed.begin(), space.removed.end(), [address](const Removal& one) {
    return address >= one.pages.begin && address - one.pages.begin < one.pages.pages * kPageSize;
  });
}

bool Pager::may_leave(const Space& space) const {
  return space.access != nullptr && space.held == 0 &&
         (space.rests_until_ns == 0 || clock_.now_ns() >= space.rests_until_ns);
}

// False: the page is in RAM, but cannot leave now.
bool Pager::add_victim(std::vector<Victim>& victims, const Resident& next, bool probe) {
  const SpacePtr space = find_space(next.space);
  Page* page = space != nullptr ? space->table.find(next.address) : nullptr;
  if (page == nullptr || page->stamp != next.stamp) {
    return true;  // it has left otherwise
  }
  if (page->state != PageState::kResident || page->uncounted || !may_leave(*space) ||
      being_removed(*space, next.address) || (probe && place_of(page->slot) == Place::kFile)) {
    return false;
  }
  page->state = PageState::kSaving;
  ++space->leaving;
  const bool clean = page->slot != kNoSlot;
  const bool offered = clean && take_offer(*page);
  victims.push_back({space.get(), next.address, page, clean, offered, probe});
  return true;
}

// So many that waiting for the daemon and for the program counts little, and few of all.
std::vector<Pager::Victim> Pager::choose() {
  const std::size_t most = std::clamp<std::size_t>(ram_pages_ / 32, kBatchLeast, kBatch);
  std::vector<Victim> victims;
  for (std::size_t vain = 0; vain < most && victims.size() < most;) {
    const std::optional<Resident> next = resident_.next();
    if (!next) {
      break;
    }
    if (!add_victim(victims, *next, false)) {
      resident_.add_again(*next);  // it is being seen to
      ++vain;
    }
  }
  return victims;
}

// A program that gives back its own memory tells nobody. What leaves without being read is looked
// for first, or it would come back from its slot.
void Pager::look_for_absent(std::vector<Victim>& victims) {
  const auto unread = [](const Victim& one) {
    return one.clean && !one.offered && !one.space->shared_memory;
  };
  for_runs(victims, unread, [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      victims[i].absent = true;
    }
    for (const Run& run :
         victims[first].space->access->present({victims[first].address, end - first})) {
      const std::uint64_t at = first + (run.begin - victims[first].address) / kPageSize;
      for (std::uint64_t i = at; i < at + run.pages; ++i) {
        victims[i].absent = false;
      }
    }
  });
}

// How many of them read as zeros from now on. One that is there again has been called off.
std::size_t Pager::drop_absent(std::vector<Victim>& victims) {
  std::size_t count = 0;
  for (Victim& victim : victims) {
    if (victim.absent && still_leaving(victim)) {
      victim.page->state = PageState::kResident;
      drop_content(*victim.page);
      ++count;
    }
  }
  return count;
}

// From here on a write to these pages faults, and they keep still while they are read.
void Pager::freeze(std::vector<Victim>& victims, PageLink& link) {
  const auto dirty = [](const Victim& one) { return !one.clean || one.offered; };
  const auto freeze_run = [&](std::size_t first, std::size_t end) {
    const Victim& begin = victims[first];
    const std::uint64_t pages = end - first;
    const bool frozen =
        begin.space->faults.protect(begin.address, pages * kPageSize, true) == 0 &&
        begin.space->access->read({begin.address, pages}, link.buffers() + first * kPageSize);
    for (std::size_t i = first; i < end; ++i) {
      victims[i].frozen = frozen;
    }
    return frozen;
  };
  for_runs(victims, dirty, [&](std::size_t first, std::size_t end) {
    if (freeze_run(first, end)) {
      return;
    }
    // Pages next to each other may be in several of the kernel's mappings.
    for (std::size_t i = first; end - first > 1 && i < end; ++i) {
      freeze_run(i, i + 1);
    }
  });
}

// Moves those of the victims that `fits` holds for, into the slots that they have been given.
template <typename Fits, typename Move>
void Pager::move_victims(std::vector<Victim>& victims, PageLink& link, Fits fits, Move move) {
  std::array<Transfer, kBatch> transfers;
  std::array<std::size_t, kBatch> whose{};
  std::size_t count = 0;
  for (std::size_t i = 0; i < victims.size(); ++i) {
    if (fits(victims[i])) {
      whose[count] = i;
      transfers[count++] = {victims[i].slot, link.buffers() + i * kPageSize};
    }
  }
  move(std::span(transfers.data(), count));
  for (std::size_t i = 0; i < count; ++i) {
    victims[whose[i]].saved = transfers[i].error == 0;
    victims[whose[i]].refused = transfers[i].error == -EDQUOT || transfers[i].error == -ENOSPC;
  }
}

// To the daemon, and what it refuses to the file. In the order of their addresses, as pages that
// are next to each other in the file come back together.
void Pager::save(Lock& lock, std::vector<Victim>& victims, PageLink& link) {
  if (store_->client() != nullptr) {
    for (Victim& victim : victims) {
      victim.slot = victim.clean && !victim.offered ? kNoSlot : slots_.allocate();
    }
  }
  lock.unlock();
  look_for_absent(victims);
  freeze(victims, link);
  const auto put = [](const Victim& one) { return one.frozen && one.slot != kNoSlot; };
  move_victims(victims, link, put, [&](std::span<Transfer> pages) { link.put(pages); });
  lock.lock();
  give_file_slots(victims);
  lock.unlock();
  const auto write = [](const Victim& one) { return place_of(one.slot) == Place::kFile; };
  move_victims(victims, link, write, [&](std::span<Transfer> pages) { link.write(pages); });
  lock.lock();
}

// In place of those that the daemon did not take, as far as the file has any.
void Pager::give_file_slots(std::vector<Victim>& victims) {
  std::vector<Victim*> left;
  for (Victim& victim : victims) {
    if (victim.slot != kNoSlot && !victim.saved) {
      if (victim.refused) {
        slots_.refused(victim.slot);
        offers_ = 0;
      }
      slots_.release(victim.slot);
      victim.slot = kNoSlot;
    }
    if (victim.frozen && !victim.clean && !victim.saved && !victim.probe) {
      left.push_back(&victim);
    }
  }
  const std::vector<Slot> slots = slots_.allocate_in_file(left.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    left[i]->slot = slots[i];
  }
}

// The page has its new slot, or nobody has.
void Pager::give_slot(Victim& victim, bool goes, std::vector<Slot>& freed) {
  if (victim.slot == kNoSlot) {
    return;
  }
  if (victim.saved) {
    slots_.filled(victim.slot);
  }
  if (goes && victim.saved) {
    const Slot before = std::exchange(victim.page->slot, victim.slot);
    counts_.promotions += victim.offered;
    if (before != kNoSlot && slots_.release(before)) {
      freed.push_back(before);
    }
  } else {
    slots_.release(victim.slot);
  }
}

void Pager::drop(std::vector<Victim>& victims) {
  for (std::size_t i = 0; i < victims.size();) {
    Space& space = *victims[i].space;
    std::vector<Run> runs;
    const std::size_t first = i;
    for (; i < victims.size() && victims[i].space == &space; ++i) {
      if (!runs.empty() && victims[i].address == victims[i - 1].address + kPageSize) {
        ++runs.back().pages;
      } else {
        runs.push_back({victims[i].address, 1});
      }
    }
    space.access->drop(runs);
    std::size_t at = first;
    for (const Run& run : runs) {
      for (std::uint64_t k = 0; k < run.pages; ++k) {
        victims[at++].gone = run.gone;
      }
    }
  }
}

}  // namespace fallow::pager
