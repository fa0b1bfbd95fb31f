// How pages that have left RAM follow the client's target (pager.h). Only the thread that evicts
// does this, in small steps: it is also the only one that gives out slots, so that a place in the
// file that nobody has stays so until it looks again.
#include <algorithm>
#include <array>
#include <tuple>

#include "base/text.h"
#include "pager/pace.h"
#include "pager/space.h"

namespace fallow::pager {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
// After the daemon did not answer, for which pages wait meanwhile.
constexpr std::uint64_t kTargetAwayNs = 10'000'000'000;

}  // namespace

// A page on its way from the daemon to the file. Its slot is held, and so it cannot become another
// page's meanwhile: as long as the page has it, it has the content that was read.
struct Pager::Moving {
  SpaceId space;
  std::uint64_t address;
  Slot from;
  std::uint32_t away;  // how many pages have left RAM since it did
  bool resident;       // its content is in RAM, too
  Slot to = kNoSlot;
};

Result<std::uint64_t> Pager::parse_demotion(const std::string& text) {
  if (text == "off") {
    return std::uint64_t{0};
  }
  const Result<std::uint64_t> rate = parse_count(text);
  if (!rate || *rate == 0 || *rate > kDemotionMost) {
    return invalid("'" + text.substr(0, 80) + "' is no number of pages a second, 1 to " +
                   std::to_string(kDemotionMost) + ", nor \"off\"");
  }
  return rate;
}

void Pager::look_at_target(Lock& lock, PageLink& link) {
  const std::uint64_t now_ns = clock_.now_ns();
  const bool may_demote = options_.demotion_pages_per_second > 0 && slots_.in_fallow() > 0;
  if (store_->client() == nullptr || now_ns < next_target_look_ns_ ||
      (!may_demote && slots_.in_file() == 0)) {
    return;
  }
  fallow_statistics now{};
  lock.unlock();
  const bool known = link.get_statistics(now);
  lock.lock();
  next_target_look_ns_ = clock_.now_ns() + (known ? kTargetLookNs : kTargetAwayNs);
  const std::uint64_t room =
      known && now.used < now.target ? std::min(now.target - now.used, now.node_frames_free) : 0;
  offers_ = room > kRoomLeast ? room - kRoomLeast : 0;
  excess_ = known && may_demote && now.used > now.target ? now.used - now.target : 0;
}

// Whether the daemon is to have a page that leaves RAM though the file has it.
bool Pager::take_offer(const Page& page) {
  if (offers_ == 0 || place_of(page.slot) != Place::kFile || slots_.shared(page.slot)) {
    return false;
  }
  --offers_;
  return true;
}

// Moves some of the oldest pages to the file, where the daemon has more of them than the target
// says. True: more can be moved at once.
bool Pager::demote(Lock& lock, PageLink& link) {
  const std::uint64_t now_ns = clock_.now_ns();
  if (excess_ == 0 || now_ns < next_demotion_ns_) {
    return false;
  }
  std::vector<Moving> moving = choose_old(std::min<std::uint64_t>(PageLink::kBuffers, excess_));
  drop_second_copies(moving);
  const std::vector<Slot> slots = slots_.allocate_in_file(moving.size());
  moving.resize(slots.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    moving[i].to = slots[i];
    slots_.share(moving[i].from);
  }
  lock.unlock();
  const std::vector<bool> there = copy_to_file(moving, link);
  lock.lock();
  std::uint64_t moved = 0;
  for (std::size_t i = 0; i < moving.size(); ++i) {
    moved += conclude_move(moving[i], there[i]);
  }
  counts_.demotions += moved;
  excess_ -= std::min(excess_, moved);
  const std::uint64_t rest_ns =
      moved > 0 ? moved * kSecondNs / options_.demotion_pages_per_second : kDemotionRestNs;
  next_demotion_ns_ = std::max(next_demotion_ns_, now_ns) + rest_ns;
  flush_dead(lock, link);
  return moved > 0 && clock_.now_ns() >= next_demotion_ns_;
}

// Those that have been in RAM again since they left lose nothing but their slot.
void Pager::drop_second_copies(std::vector<Moving>& moving) {
  for (const Moving& one : moving) {
    if (one.resident) {
      drop_slot(*find_space(one.space)->table.find(one.address));
      excess_ -= std::min<std::uint64_t>(excess_, 1);
    }
  }
  std::erase_if(moving, [](const Moving& one) { return one.resident; });
}

// For each whether the file has it now.
std::vector<bool> Pager::copy_to_file(const std::vector<Moving>& moving, PageLink& link) {
  std::array<Transfer, PageLink::kBuffers> transfers;
  for (std::size_t i = 0; i < moving.size(); ++i) {
    transfers[i] = {moving[i].from, link.buffers() + i * kPageSize};
  }
  link.get({transfers.data(), moving.size()});
  std::array<Transfer, PageLink::kBuffers> got;
  std::vector<std::size_t> whose;
  for (std::size_t i = 0; i < moving.size(); ++i) {
    if (transfers[i].error == 0) {
      got[whose.size()] = {moving[i].to, transfers[i].page};
      whose.push_back(i);
    }
  }
  link.write({got.data(), whose.size()});
  std::vector<bool> there(moving.size(), false);
  for (std::size_t i = 0; i < whose.size(); ++i) {
    there[whose[i]] = got[i].error == 0;
  }
  return there;
}

// A page that was wanted in between keeps what it had.
bool Pager::conclude_move(const Moving& one, bool there) {
  const SpacePtr space = find_space(one.space);
  Page* page = space != nullptr ? space->table.find(one.address) : nullptr;
  const bool moves =
      there && page != nullptr && page->state == PageState::kStored && page->slot == one.from;
  if (moves) {
    slots_.filled(one.to);
    // At one instruction: were this process killed now, the page would be here or there, and it is
    // in both.
    page->slot = one.to;
    slots_.release(one.from);
  } else {
    slots_.release(one.to);
  }
  slots_.release(one.from);
  return moves;
}

// A hand goes round over all pages; of what it finds in a step, those that have been away longest.
std::vector<Pager::Moving> Pager::choose_old(std::size_t most) {
  std::vector<Moving> found;
  std::size_t looks = kLooksPerStep;
  for (std::size_t i = 0; i <= spaces_.size() && looks > 0 && found.size() < kChoicesPerMove * most;
       ++i) {
    const auto at = spaces_.lower_bound(hand_.first);
    if (at == spaces_.end()) {
      hand_ = {0, 0};
    } else if (at->first != hand_.first) {
      hand_ = {at->first, 0};
    }
    const SpacePtr space = find_space(hand_.first);
    if (space != nullptr && look_through(*space, found, looks, kChoicesPerMove * most)) {
      hand_ = {hand_.first + 1, 0};
    }
  }
  const std::size_t count = std::min(most, found.size());
  std::nth_element(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end(),
                   [](const Moving& a, const Moving& b) { return a.away > b.away; });
  found.resize(count);
  // As they lie in memory, so that they come back together.
  const auto place = [](const Moving& one) { return std::tuple(one.space, one.address); };
  std::sort(found.begin(), found.end(),
            [&](const Moving& a, const Moving& b) { return place(a) < place(b); });
  const auto same = [&](const Moving& a, const Moving& b) { return place(a) == place(b); };
  found.erase(std::unique(found.begin(), found.end(), same), found.end());
  return found;
}

// From the hand on. True: to the space's end.
bool Pager::look_through(const Space& space, std::vector<Moving>& found, std::size_t& looks,
                         std::size_t most) {
  for (const PageTable::Span& span : space.table.all()) {
    const std::uint64_t end = span.begin + span.pages.size() * kPageSize;
    for (std::uint64_t at = std::max(span.begin, hand_.second); at < end; at += kPageSize) {
      if (looks == 0 || found.size() >= most) {
        hand_.second = at;
        return false;
      }
      --looks;
      const Page& page = span.pages[(at - span.begin) / kPageSize];
      const bool stored = page.state == PageState::kStored;
      if (place_of(page.slot) == Place::kFallow && !slots_.shared(page.slot) &&
          (stored || page.state == PageState::kResident)) {
        const auto away = static_cast<std::uint32_t>(counts_.evictions) - page.left_at;
        found.push_back({space.id, at, page.slot, stored ? away : 0, !stored});
      }
    }
  }
  return true;
}

}  // namespace fallow::pager
