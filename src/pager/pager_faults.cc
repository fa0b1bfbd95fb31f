// The pager's answers to faults (pager.h).
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "base/check.h"
#include "base/log.h"
#include "base/units.h"
#include "pager/space.h"

namespace fallow::pager {
namespace {

constexpr std::uint32_t kProtectionTrial = 256;
constexpr std::uint32_t kProtectionRestMost = 16384;
constexpr std::size_t kStreamFirst = 4;
constexpr std::int64_t kExchangesMost = 16;
constexpr std::chrono::seconds kExchangeAtMost{2};
// Nearly always enough for a program to do what it has announced.
constexpr std::uint64_t kRemovalNs = 60'000'000;

}  // namespace

// The pages that one fault brings in: the one that was faulted on, and some ahead of it.
struct Pager::Filling {
  struct One {
    std::uint64_t address;
    Page* page;
    bool there = false;
    bool is_protected = false;
  };
  static constexpr std::size_t kMost = 128;
  std::array<One, kMost> pages;
  std::size_t count = 0;
  std::size_t first = 1;       // how many the one who faulted should not have to wait for again
  std::size_t settled = 0;     // that are in RAM, or not to be had
  std::uint64_t begin_ns = 0;  // when the fault was read; 0: there was none
  std::array<Transfer, kMost> transfers;
  bool zeros = false;
  bool write = false;
  bool counted = true;  // else beside the limit

  // Whether a page is to be had with the first one at little cost: of the file, where it lies near
  // that one, so that all are one request.
  [[nodiscard]] bool takes_along(const Page& page, std::uint32_t bridge_most) const {
    const Slot its = pages[0].page->slot;
    const std::uint32_t apart = page.slot > its ? page.slot - its : its - page.slot;
    return place_of(page.slot) == place_of(its) &&
           (place_of(its) == Place::kFallow || apart <= bridge_most);
  }
};

void Pager::answer_faults(PageLink& link) {
  Lock lead(leading_, std::defer_lock);
  for (;;) {
    if (!lead.owns_lock()) {
      lead.lock();
    }
    uffd_msg message{};
    SpaceId id = 0;
    std::unique_lock gate(filling_, std::defer_lock);
    if (!source_->next(message, id, gate)) {
      return;
    }
    SpacePtr space;
    {
      const std::lock_guard lock(mutex_);
      space = find_space(id);
    }
    if (message.event == UFFD_EVENT_FORK) {
      CHECK(space != nullptr);
      on_fork(*space, static_cast<int>(message.arg.fork.ufd));
      continue;
    }
    gate.unlock();
    if (space != nullptr) {
      answer(link, lead, *space, message);
    }
  }
}

void Pager::answer(PageLink& link, Lock& lead, Space& space, const uffd_msg& message) {
  if (message.event == UFFD_EVENT_REMOVE) {
    on_removed(space, message.arg.remove.start, message.arg.remove.end);
  }
  if (message.event != UFFD_EVENT_PAGEFAULT) {
    return;
  }
  if ((message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) != 0) {
    on_write(space, message.arg.pagefault.address & ~(kPageSize - 1));
  } else if ((message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR) != 0) {
    on_present(space, message);
  } else {
    on_missing(link, lead, space, message);
  }
}

// Whether protecting what was only read has paid: a page that is written after all costs a second
// fault, one that is not saves a copy.
void Pager::judge_protection(bool written) {
  ++(written ? written_ : clean_);
  if (clean_ < kProtectionTrial) {
    return;
  }
  if (written_ > clean_ / 4) {
    protect_rest_ = protect_rest_next_;
    protect_rest_next_ = std::min(2 * protect_rest_next_, kProtectionRestMost);
  } else {
    protect_rest_next_ = kProtectionRest;
  }
  clean_ = 0;
  written_ = 0;
}

// A write to a protected page: it is lifted, and what was being done for the page is called off.
void Pager::on_write(Space& space, std::uint64_t address) {
  Lock lock(mutex_);
  Page* page = space.table.find(address);
  if (page == nullptr) {
    space.faults.wake(address, kPageSize);
    return;
  }
  if (page->state == PageState::kFilling || page->state == PageState::kDropping) {
    page->wanted = true;
    return;
  }
  if (page->state != PageState::kResident && page->state != PageState::kSaving) {
    // It has left since; or it is there though the table does not say so, and stays.
    (void)space.faults.protect(address, kPageSize, false);
    return;
  }
  const bool called_off = page->state == PageState::kSaving;
  ++counts_.faults_write;
  if (page->is_protected && !called_off) {
    judge_protection(true);
  }
  page->state = PageState::kFilling;
  page->is_protected = false;
  drop_slot(*page);
  lock.unlock();
  const int error = space.faults.protect(address, kPageSize, false);
  lock.lock();
  page->state = PageState::kResident;
  if (called_off) {
    stay(space, address, *page);
  }
  if (error != 0) {
    page->wanted = true;  // tried again by whoever writes
  }
  wake_if_wanted(space, address, *page);
  room_made_.notify_all();
}

void Pager::on_missing(PageLink& link, Lock& lead, Space& space, const uffd_msg& message) {
  const std::uint64_t address = message.arg.pagefault.address & ~(kPageSize - 1);
  Lock lock(mutex_);
  Page* page = space.table.find(address);
  space.thread = message.arg.pagefault.feat.ptid;
  if (page == nullptr) {
    space.faults.wake(address, kPageSize);
    return;
  }
  Filling filling;
  filling.begin_ns = clock_.now_ns();
  switch (page->state) {
    case PageState::kFilling:
    case PageState::kDropping:
      page->wanted = true;
      return;
    case PageState::kResident:
    case PageState::kSaving:
      lock.unlock();
      look_again(space, address);
      return;
    case PageState::kUntouched:
      filling.zeros = true;
      ++counts_.faults;
      ++counts_.faults_zero;
      break;
    case PageState::kStored:
      ++counts_.faults;
      break;
  }
  filling.write = (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0;
  page->state = PageState::kFilling;
  filling.pages[filling.count++] = {address, page};
  filling.counted = space.access != nullptr && space.held == 0;
  if (filling.counted && !take_room(lock, lead, space, filling)) {
    page->state = filling.zeros ? PageState::kUntouched : PageState::kStored;
    room_made_.notify_all();
    if (stopping_) {
      return;  // the next pager is told again
    }
    lock.unlock();
    refuse(space, address, message.arg.pagefault.feat.ptid,
           "neither the daemon nor the backing file takes another page");
    return;
  }
  plan(space, filling);
  for (std::size_t i = 0; i < filling.count && !filling.zeros; ++i) {
    filling.transfers[i] = {filling.pages[i].page->slot, link.buffers() + i * kPageSize};
    filling.pages[i].is_protected = protect_clean() && (i > 0 || !filling.write);
  }
  lock.unlock();
  const auto put_in_place = [&](std::size_t end) {
    const std::shared_lock gate(filling_);
    install(space, link, filling, end);
    const Lock again(mutex_);
    settle(space, filling, end);
  };
  if (filling.zeros) {
    put_in_place(filling.count);
  } else {
    bring(link, lead, filling, put_in_place);
  }
  if (!filling.zeros && filling.transfers[0].error != 0) {
    refuse(space, address, message.arg.pagefault.feat.ptid, "the page was lost");
  }
}

// A fault on a page that is thought to be in RAM. Nearly always another thread's fault has been
// answered since. Else the program has given the page back itself, and reads zeros; the kernel
// knows. Under the mutex, so that the page cannot leave meanwhile.
void Pager::look_again(Space& space, std::uint64_t address) {
  const std::shared_lock gate(filling_);
  const std::lock_guard lock(mutex_);
  Page* found = space.table.find(address);
  if (found == nullptr ||
      (found->state != PageState::kResident && found->state != PageState::kSaving)) {
    space.faults.wake(address, kPageSize);
    return;
  }
  Page& page = *found;
  std::uint64_t filled = 0;
  if (space.faults.fill(address, zeros_.data(), kPageSize, false, filled) != 0) {
    space.faults.wake(address, kPageSize);
    return;
  }
  let_write(space, address, page);
}

// It is no longer what its slot has, nor what is being saved of it.
void Pager::let_write(Space& space, std::uint64_t address, Page& page) {
  drop_slot(page);
  page.is_protected = false;
  if (page.state == PageState::kSaving) {
    stay(space, address, page);
  }
}

// A page that the file of shared memory has and that is not mapped: it had content before it was
// watched, or was unmapped since. Under the mutex, so that it cannot leave meanwhile.
void Pager::on_present(Space& space, const uffd_msg& message) {
  const std::uint64_t address = message.arg.pagefault.address & ~(kPageSize - 1);
  const bool write = (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0;
  const std::shared_lock gate(filling_);
  Lock lock(mutex_);
  space.thread = message.arg.pagefault.feat.ptid;
  Page* page = space.table.find(address);
  if (page != nullptr &&
      (page->state == PageState::kFilling || page->state == PageState::kDropping)) {
    page->wanted = true;
    return;
  }
  if (page != nullptr && page->state == PageState::kStored && space.access != nullptr &&
      !space.access->present({address, 1}).empty()) {
    lock.unlock();
    refuse(space, address, message.arg.pagefault.feat.ptid,
           "another process has touched the page in the file while it was not in RAM");
    return;
  }
  if (page == nullptr || page->state == PageState::kStored) {
    space.faults.wake(address, kPageSize);
    return;
  }
  const bool keeps = !write && (page->is_protected || page->state == PageState::kSaving);
  if (keeps && space.faults.map_present(address, kPageSize, true) == 0) {
    return;
  }
  if (page->state != PageState::kUntouched) {
    let_write(space, address, *page);
  }
  if (space.faults.map_present(address, kPageSize, false) != 0) {
    space.faults.wake(address, kPageSize);  // it is said again, and may be another fault by then
    return;
  }
  if (page->state == PageState::kUntouched) {
    page->state = PageState::kResident;
    --room_;
    enqueue(space, address, *page);
    room_wanted_.notify_one();
  }
}

// The program is about to give these pages back, or to unmap them: it goes on once this has been
// read, and which of the two is not said. Those that are not in RAM are zeros from now on: a
// program that unmaps memory, and reads it again, knows what it does. Of those that are in RAM the
// file will tell. The handler that leads does this before it lets anybody read the next fault,
// which may be on one of these pages; nobody whom it waits for waits to lead.
void Pager::on_removed(Space& space, std::uint64_t begin, std::uint64_t end) {
  Lock lock(mutex_);
  const std::uint64_t pages = (end - begin) / kPageSize;
  for (const PageTable::Span& span : space.table.within(begin, pages)) {
    for (Page& page : span.pages) {
      wait_settled(lock, page);
      if (page.state == PageState::kResident && space.shared_memory) {
        drop_slot(page);
      } else if (page.state != PageState::kUntouched) {
        drop_content(page);
      }
    }
  }
  if (space.shared_memory) {
    space.removed.push_back({{begin, pages}, clock_.now_ns() + kRemovalNs});
  }
  room_made_.notify_all();
}

// Waits until there is room for a page. False: there will be none. Where no page can leave because
// nobody takes one, a page that comes back makes room itself: it gives up its slot, which takes
// another page. Until then there is one too many in RAM.
bool Pager::take_room(Lock& lock, Lock& lead, const Space& space, Filling& filling) {
  if (room_ <= 0) {
    lead.unlock();
    room_wanted_.notify_one();
    room_made_.wait(lock, [&] { return room_ > 0 || stuck_ || stopping_ || space.held > 0; });
    if (stopping_) {
      return false;
    }
    if (room_ <= 0 && space.held > 0) {
      filling.counted = false;
      return true;
    }
    if (room_ <= 0 && (filling.zeros || !may_exchange(lock))) {
      return false;
    }
    filling.write = filling.write || room_ <= 0;
  }
  if (--room_ < room_low_) {
    room_wanted_.notify_one();
  }
  return true;
}

bool Pager::may_exchange(Lock& lock) {
  exchanged_ = true;
  room_wanted_.notify_one();
  return room_made_.wait_for(lock, kExchangeAtMost, [this] { return room_ > -kExchangesMost; });
}

// Adds a page to what the fault brings in, as far as there is room to spare.
bool Pager::add_ahead(Space& space, Filling& filling, std::uint64_t number) {
  const std::uint64_t address = number * kPageSize;
  Page* page = space.table.find(address);
  const PageState wanted = filling.zeros ? PageState::kUntouched : PageState::kStored;
  if (page == nullptr || page->state != wanted || room_ <= room_low_ / 2) {
    return false;
  }
  if (!filling.zeros && !filling.takes_along(*page, store_->file().bridge_most())) {
    return false;
  }
  --room_;
  page->state = PageState::kFilling;
  filling.pages[filling.count++] = {address, page};
  return true;
}

// Adds the pages that are about to be needed: ahead in a stream of faults, or else around.
void Pager::plan(Space& space, Filling& filling) {
  const std::uint64_t number = filling.pages[0].address / kPageSize;
  const Streams::Plan stream = space.streams.fault(number);
  counts_.prefetch_hits += stream.proved;
  if (!filling.counted) {
    space.streams.brought(0);
    return;
  }
  // A stream among others is not to fill all of a small RAM.
  const std::uint64_t ahead = std::min<std::uint64_t>(stream.ahead, ram_pages_ / 64);
  for (std::uint64_t i = 1; i <= ahead; ++i) {
    if (!add_ahead(space, filling, number + static_cast<std::uint64_t>(stream.stride) * i)) {
      break;
    }
  }
  space.streams.brought(static_cast<std::uint32_t>(filling.count - 1));
  filling.first = std::min(filling.count, kStreamFirst);
  if (stream.ahead == 0 && !filling.zeros) {
    const Neighbours::Plan block = space.neighbours.fault(number);
    counts_.prefetch_hits += block.proved;
    for (std::uint64_t one = block.begin; one < block.begin + block.pages; ++one) {
      if (one != block.left_out) {
        add_ahead(space, filling, one);
      }
    }
    space.neighbours.brought(static_cast<std::uint32_t>(filling.count - 1));
  }
  counts_.prefetched += filling.count - 1;
  if (room_ < room_low_) {
    room_wanted_.notify_one();
  }
}

void Pager::bring(PageLink& link, Lock& lead, Filling& filling,
                  const std::function<void(std::size_t)>& put_in_place) {
  const std::span<Transfer> transfers(filling.transfers.data(), filling.count);
  const auto slow = [](const Transfer& one) { return place_of(one.slot) == Place::kFile; };
  if (lead.owns_lock() && std::any_of(transfers.begin(), transfers.end(), slow)) {
    lead.unlock();  // others need not wait for the disk
  }
  link.get(transfers, filling.first, put_in_place);
}

// Puts the pages where they belong, as many at once as lie next to each other.
void Pager::install(Space& space, PageLink& link, Filling& filling, std::size_t count) {
  for (std::size_t i = filling.settled; i < count;) {
    const Filling::One& first = filling.pages[i];
    const bool bad = !filling.zeros && filling.transfers[i].error != 0;
    std::size_t end = i + 1;
    while (!bad && end < count &&
           filling.pages[end].address == first.address + (end - i) * kPageSize &&
           filling.pages[end].is_protected == first.is_protected &&
           (filling.zeros || filling.transfers[end].error == 0)) {
      ++end;
    }
    if (!bad) {
      const std::byte* from = filling.zeros ? zeros_.data() : link.buffers() + i * kPageSize;
      std::uint64_t filled = 0;
      int error =
          space.faults.fill(first.address, from, (end - i) * kPageSize, first.is_protected, filled);
      if (error == -ENOENT && filled == 0) {
        // Pages next to each other may be in several of the kernel's mappings: not filled at once.
        end = i + 1;
        error = space.faults.fill(first.address, from, kPageSize, first.is_protected, filled);
      }
      const std::size_t done = filled / kPageSize;
      for (std::size_t k = i; k < i + done; ++k) {
        filling.pages[k].there = true;
      }
      if (error != 0 && done > 0) {
        end = i + done;  // the next one says why
      }
    }
    i = end;
  }
}

// What has become of the pages.
void Pager::settle(Space& space, Filling& filling, std::size_t count) {
  if (filling.settled == 0 && filling.begin_ns != 0) {
    latency_.add(clock_.now_ns() - filling.begin_ns);
  }
  for (std::size_t i = std::exchange(filling.settled, count); i < count; ++i) {
    const Filling::One& one = filling.pages[i];
    Page& page = *one.page;
    if (!one.there) {
      page.state = filling.zeros ? PageState::kUntouched : PageState::kStored;
      room_ += filling.counted;
      // Tried again by whoever faulted, unless it cannot be had.
      page.wanted = page.wanted || filling.zeros || filling.transfers[i].error == 0;
    } else {
      page.state = PageState::kResident;
      page.is_protected = one.is_protected;
      if (one.is_protected) {
        judge_protection(false);
      } else if (page.slot != kNoSlot) {
        drop_slot(page);
        protect_rest_ -= protect_rest_ > 0;
      }
      resident_max_ = std::max(resident_max_, ram_pages_ - static_cast<std::uint64_t>(room_));
      page.uncounted = !filling.counted;
      if (filling.counted) {
        enqueue(space, one.address, page);
      }
      monitor_.came({space.id, page.stamp, one.address});
    }
    wake_if_wanted(space, one.address, page);
  }
  room_made_.notify_all();
}

// Brings in what of these pages is not in RAM, beside the limit. False: some could not be had.
bool Pager::bring_in(Lock& lock, Space& space, std::uint64_t begin, std::uint64_t pages) {
  lock.unlock();
  const std::lock_guard one_at_a_time(bringing_);
  lock.lock();
  bool all = true;
  for (const PageTable::Span& span : space.table.within(begin, pages)) {
    for (std::size_t at = 0; at < span.pages.size();) {
      Filling filling;
      filling.counted = false;
      for (; at < span.pages.size() && filling.count < Filling::kMost; ++at) {
        Page& page = span.pages[at];
        if (page.state != PageState::kStored) {
          if (filling.count > 0 && page.state != PageState::kResident &&
              page.state != PageState::kUntouched) {
            break;  // nobody is to wait for the others meanwhile
          }
          wait_settled(lock, page);
        }
        if (page.state == PageState::kStored) {
          page.state = PageState::kFilling;
          filling.transfers[filling.count] = {page.slot,
                                              own_link_->buffers() + filling.count * kPageSize};
          filling.pages[filling.count++] = {span.address(page), &page};
        }
      }
      lock.unlock();
      own_link_->get({filling.transfers.data(), filling.count});
      {
        const std::shared_lock gate(filling_);
        install(space, *own_link_, filling, filling.count);
        lock.lock();
        settle(space, filling, filling.count);
      }
      for (std::size_t i = 0; i < filling.count; ++i) {
        all = all && filling.pages[i].there;
      }
    }
  }
  return all;
}

// The access gets SIGBUS, and that page alone.
void Pager::refuse(Space& space, std::uint64_t address, std::uint32_t thread, const char* why) {
  log_error("pager_page_refused", {{"address", address}, {"detail", why}});
  {
    const std::lock_guard lock(mutex_);
    ++counts_.failures;
  }
  if (space.faults.poison(address, kPageSize) != 0) {
    ::syscall(SYS_tkill, thread, SIGBUS);
  }
  space.faults.wake(address, kPageSize);
}

}  // namespace fallow::pager
