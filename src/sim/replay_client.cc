#include "sim/replay_client.h"

#include <algorithm>

#include "base/units.h"
#include "device/swap_device.h"
#include "device/transfer.h"
#include "pager/pace.h"
#include "pager/page_file.h"
#include "pager/page_store.h"

namespace fallow::sim {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

// How far from the first of the places in the file, which rise, one request goes: over at most so
// many between two that nobody wants.
std::size_t end_of_request(const std::vector<std::uint32_t>& places, std::size_t begin,
                           std::uint32_t bridge_most) {
  std::size_t end = begin + 1;
  while (end < places.size() && places[end] - places[end - 1] <= bridge_most + 1 &&
         places[end] - places[begin] < pager::PageFile::kRunMost) {
    ++end;
  }
  return end;
}

// Of pages: a disk has so many transfers, a pager so much room before nothing can leave RAM.
std::uint64_t writes_most(const ScriptClient& script) {
  return script.is_disk ? TransferPool::kTransfers * Transfer::kPagesMax
                        : 2 * pager::low_mark(script.ram_pages);
}

}  // namespace

ReplayClient::ReplayClient(const ScriptClient& script, const ClientSettings& settings,
                           Memory& memory, ClientId id)
    : script_(script),
      settings_(settings),
      memory_(memory),
      id_(id),
      writes_most_(writes_most(script)),
      pages_(script.places.size()),
      disk_(settings.backing) {}

std::uint64_t ReplayClient::carry_out(std::span<const Event> events, std::uint64_t now_ns) {
  for (const Event& event : events) {
    switch (event.kind) {
      case EventKind::kPut:
      case EventKind::kPutWithoutFrame:
        put(event.what, event.kind == EventKind::kPutWithoutFrame);
        break;
      case EventKind::kGet:
      case EventKind::kGetMissing:
        get(event.what, event.kind == EventKind::kGet);
        break;
      case EventKind::kFlush:
        ++memory_.counters(id_).flushes_total;
        flush(event.what);
        break;
      case EventKind::kFlushGroup:
        ++memory_.counters(id_).flushes_total;
        for (const std::uint32_t page : script_.groups[event.what]) {
          flush(page);
        }
        break;
      case EventKind::kGone:
        for (const std::uint32_t page : script_.groups[event.what]) {
          flush(page);
        }
        memory_.remove_client(id_);
        break;
      case EventKind::kMark:
        break;
    }
  }
  let_leave();
  const std::uint64_t read_ns = read_backing(now_ns);
  return write_backing(read_ns);
}

// Memory takes the page or refuses it (004, Algorithm 1); what was there of it before is gone.
void ReplayClient::put(std::uint32_t number, bool without_frame) {
  Page& page = pages_[number];
  tmem::Counters& counters = memory_.counters(id_);
  ++counters.puts_total;
  ++puts_;
  ++page.stamp;
  page.in_ram = false;
  page.left_at = arrivals();
  if (page.place == Place::kMemory && !without_frame && memory_.target(id_) > 0 &&
      memory_.excess(id_) == 0) {
    ++counters.puts_succ;
    return;
  }
  take_page_out(page);
  if (without_frame && memory_.target(id_) > 0) {
    page.place = Place::kWithoutFrame;
    ++counters.puts_succ;
  } else if (!store(page)) {
    ++figures_.refused_puts;
    to_file(number);
  } else {
    ++counters.puts_succ;
  }
}

bool ReplayClient::store(Page& page) {
  if (!memory_.charge(id_)) {
    return false;
  }
  page.place = Place::kMemory;
  return true;
}

// Its content is nowhere from now on.
void ReplayClient::take_page_out(Page& page) {
  if (page.place == Place::kMemory) {
    memory_.uncharge(id_);
  } else if (page.place == Place::kFile) {
    --in_file_;
    if (page.slot != pager::kNoSlot) {
      slots_.release(page.slot);
      page.slot = pager::kNoSlot;
    }
  }
  page.place = Place::kNowhere;
}

void ReplayClient::to_file(std::uint32_t number) {
  Page& page = pages_[number];
  page.place = Place::kFile;
  page.slot = pager::kNoSlot;
  ++in_file_;
  if (!page.leaving) {
    page.leaving = true;
    leaving_.push_back(number);
  }
}

void ReplayClient::get(std::uint32_t number, bool was_there) {
  Page& page = pages_[number];
  tmem::Counters& counters = memory_.counters(id_);
  ++gets_;
  if (page.in_ram) {
    leave({number, page.stamp, 0});  // earlier than was thought
  }
  if (page.place == Place::kNowhere && !was_there) {
    ++counters.gets_total;
    return;
  }
  if (page.place == Place::kNowhere && !store(page)) {  // it had it before the recording began
    to_file(number);
  }
  if (page.place == Place::kFile) {
    ++figures_.refaults;
    reads_.push_back(number);
  } else {
    ++counters.gets_total;
    ++counters.gets_succ;
    ++figures_.memory_hits;
  }
  if (!script_.is_disk && script_.ram_pages > 0) {
    page.in_ram = true;
    ++page.stamp;
    in_ram_.push_back({number, page.stamp, arrivals() + script_.ram_pages});
  }
}

void ReplayClient::flush(std::uint32_t number) {
  Page& page = pages_[number];
  if (page.place == Place::kMemory || page.place == Place::kWithoutFrame) {
    ++memory_.counters(id_).pages_flushed;
  }
  take_page_out(page);
  page.in_ram = false;
  ++page.stamp;
}

// As many pages leave RAM as come into it, those that came first before others.
void ReplayClient::let_leave() {
  while (!in_ram_.empty() && in_ram_.front().leaves_at <= arrivals()) {
    leave(in_ram_.front());
    in_ram_.pop_front();
  }
}

// Nobody has written to it: it leaves without a put, but for one that the file has and the daemon
// is offered, or that has lost its place meanwhile.
void ReplayClient::leave(InRam one) {
  Page& page = pages_[one.page];
  if (!page.in_ram || page.stamp != one.stamp) {
    return;
  }
  page.in_ram = false;
  page.left_at = arrivals();
  const bool offered = page.place == Place::kFile && page.slot != pager::kNoSlot && offers_ > 0;
  if (!offered && page.place != Place::kNowhere) {
    return;
  }
  offers_ -= offered;
  tmem::Counters& counters = memory_.counters(id_);
  ++counters.puts_total;
  if (memory_.charge(id_)) {
    ++counters.puts_succ;
    figures_.promotions += offered;
    take_page_out(page);
    page.place = Place::kMemory;
  } else if (offered) {
    offers_ = 0;
  } else {
    ++figures_.refused_puts;
    to_file(one.page);
  }
}

// Gives the pages that leave together places next to each other, in the order in which they leave.
void ReplayClient::place_in_file() {
  std::erase_if(leaving_, [this](std::uint32_t number) {
    pages_[number].leaving = false;
    return pages_[number].place != Place::kFile || pages_[number].slot != pager::kNoSlot;
  });
  if (script_.is_disk) {
    return;
  }
  const std::vector<pager::Slot> slots = slots_.allocate_in_file(leaving_.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    slots_.filled(slots[i]);
    pages_[leaving_[i]].slot = slots[i];
  }
}

// Pages next to each other are one request, and so are those that a pager reads which are near.
// Returns when the last one is done.
std::uint64_t ReplayClient::transfer(const std::vector<std::uint32_t>& pages, Transfer what,
                                     std::uint64_t now_ns) {
  std::vector<std::uint32_t> places;
  for (const std::uint32_t number : pages) {
    if (pages_[number].place == Place::kFile) {
      places.push_back(script_.is_disk ? script_.places[number]
                                       : pager::number_of(pages_[number].slot));
    }
  }
  std::sort(places.begin(), places.end());
  const bool bridges = what == Transfer::kRead && !script_.is_disk;
  const std::uint32_t bridge_most = bridges ? pager::bridge_most(settings_.backing) : 0;
  for (std::size_t i = 0; i < places.size();) {
    const std::size_t end = end_of_request(places, i, bridge_most);
    now_ns = disk_.done_ns(now_ns, std::uint64_t{places[i]} * kPageSize,
                           (std::uint64_t{places[end - 1]} - places[i] + 1) * kPageSize);
    ++figures_.backing_requests;
    i = end;
  }
  return now_ns;
}

std::uint64_t ReplayClient::read_backing(std::uint64_t now_ns) {
  place_in_file();
  if (reads_.empty()) {
    return now_ns;
  }
  const std::uint64_t done_ns = transfer(reads_, Transfer::kRead, now_ns);
  reads_.clear();
  figures_.backing_wait_ns += done_ns - now_ns;
  return done_ns;
}

// Behind the client's back, until so much is under way that it has to wait.
std::uint64_t ReplayClient::write_backing(std::uint64_t now_ns) {
  if (!leaving_.empty()) {
    writes_.push_back({transfer(leaving_, Transfer::kWrite, now_ns), leaving_.size()});
    writing_ += leaving_.size();
    leaving_.clear();
  }
  while (!writes_.empty() && (writes_.front().done_ns <= now_ns || writing_ > writes_most_)) {
    now_ns = std::max(now_ns, writes_.front().done_ns);
    writing_ -= writes_.front().pages;
    writes_.pop_front();
  }
  return now_ns;
}

std::uint64_t ReplayClient::follow_target(std::uint64_t now_ns) {
  if (now_ns >= next_look_ns_) {
    look_at_target(now_ns);
  }
  if (excess_ > 0 && now_ns >= next_demotion_ns_) {
    demote(now_ns);
  }
  return excess_ > 0 ? std::min(next_look_ns_, next_demotion_ns_) : next_look_ns_;
}

void ReplayClient::look_at_target(std::uint64_t now_ns) {
  next_look_ns_ = now_ns + (script_.is_disk ? SwapDevice::kDemotionPeriodNs : pager::kTargetLookNs);
  const std::uint64_t room = memory_.room(id_);
  offers_ = room > pager::kRoomLeast ? room - pager::kRoomLeast : 0;
  excess_ = settings_.demotion_pages_per_second > 0 ? memory_.excess(id_) : 0;
}

// Those that are in RAM, too, lose nothing but their place.
void ReplayClient::demote(std::uint64_t now_ns) {
  tmem::Counters& counters = memory_.counters(id_);
  std::uint64_t moved = 0;
  for (const std::uint32_t number :
       choose_old(std::min<std::uint64_t>(pager::PageLink::kBuffers, excess_))) {
    Page& page = pages_[number];
    const bool in_ram = page.in_ram;
    take_page_out(page);
    --excess_;
    ++(script_.is_disk ? counters.pages_demoted : counters.pages_flushed);
    if (!in_ram) {
      to_file(number);
      ++moved;
    }
  }
  figures_.demotions += moved;
  place_in_file();
  write_backing(now_ns);
  const std::uint64_t rest_ns =
      moved > 0 ? moved * kSecondNs / settings_.demotion_pages_per_second : pager::kDemotionRestNs;
  next_demotion_ns_ = std::max(next_demotion_ns_, now_ns) + rest_ns;
}

// A hand goes round over all pages; of what it finds, those that have been away longest.
std::vector<std::uint32_t> ReplayClient::choose_old(std::size_t most) {
  std::vector<std::uint32_t> found;
  const std::size_t looks = std::min(pager::kLooksPerStep, pages_.size());
  for (std::size_t i = 0; i < looks && found.size() < pager::kChoicesPerMove * most; ++i) {
    hand_ = hand_ + 1 < pages_.size() ? hand_ + 1 : 0;
    if (pages_[hand_].place == Place::kMemory) {
      found.push_back(hand_);
    }
  }
  const auto away = [this](std::uint32_t number) {
    return pages_[number].in_ram ? 0 : arrivals() - pages_[number].left_at + 1;
  };
  const std::size_t count = std::min(most, found.size());
  std::nth_element(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return away(a) > away(b); });
  found.resize(count);
  std::sort(found.begin(), found.end());
  return found;
}

node::DemandTotals ReplayClient::demand() const {
  return {.backing_reads = figures_.refaults,
          .backing_wait_ns = figures_.backing_wait_ns,
          .backing_pages = in_file_};
}

}  // namespace fallow::sim
