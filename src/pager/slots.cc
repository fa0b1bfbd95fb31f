#include "pager/slots.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace fallow::pager {
namespace {

// How many runs are looked at before the longest of them has to do.
constexpr unsigned kLooks = 64;

}  // namespace

Slots::Slots(std::uint64_t file_pages_max)
    : file_pages_max_(std::min<std::uint64_t>(file_pages_max, kInFile)) {}

Slot Slots::allocate() {
  Slot slot = kNoSlot;
  if (!dead_.empty()) {
    slot = dead_.back();
    dead_.pop_back();
  } else if (!free_.empty()) {
    slot = free_.top();
    free_.pop();
  } else {
    slot = static_cast<Slot>(fallow_.entries.size());
    CHECK(slot < kInFile);
    fallow_.entries.emplace_back();
  }
  entry(slot).owners = 1;
  return slot;
}

std::vector<Slot> Slots::allocate_in_file(std::size_t count) {
  std::vector<Slot> slots;
  while (slots.size() < count) {
    auto run = find_run(count - slots.size());
    if (run == free_runs_.end()) {
      break;
    }
    const auto [first, end] = *run;
    const auto taken =
        std::min<std::uint32_t>(end - first, static_cast<std::uint32_t>(count - slots.size()));
    free_runs_.erase(run);
    if (first + taken < end) {
      free_runs_.emplace(first + taken, end);
    }
    free_in_file_ -= taken;
    look_from_ = first + taken;
    for (std::uint32_t number = first; number < first + taken; ++number) {
      file_.entries[number].owners = 1;
      slots.push_back(number | kInFile);
    }
  }
  std::sort(slots.begin(), slots.end());
  return slots;
}

// A free run of so many, or else the longest of some: unless the file can grow instead, and little
// of it is free.
Slots::Runs::iterator Slots::find_run(std::size_t count) {
  auto longest = free_runs_.end();
  auto at = free_runs_.lower_bound(look_from_);
  for (std::size_t looks = std::min<std::size_t>(kLooks, free_runs_.size()); looks > 0; --looks) {
    at = at == free_runs_.end() ? free_runs_.begin() : at;
    if (longest == free_runs_.end() || at->second - at->first > longest->second - longest->first) {
      longest = at;
    }
    if (longest->second - longest->first >= count) {
      return longest;
    }
    ++at;
  }
  const bool few = longest == free_runs_.end() || free_in_file_ < file_.entries.size() / 4;
  if (few && extend_file(count)) {
    return std::prev(free_runs_.end());
  }
  return longest;
}

// The last run is of so many then, if not of all that may be. False: the file has its size.
bool Slots::extend_file(std::size_t count) {
  const auto end = static_cast<std::uint32_t>(file_.entries.size());
  const std::uint64_t room = file_pages_max_ > end ? file_pages_max_ - end : 0;
  const auto more = static_cast<std::uint32_t>(std::min<std::uint64_t>(count, room));
  if (more == 0) {
    return false;
  }
  file_.entries.resize(std::size_t{end} + more);
  free_in_file(end, end + more);
  return true;
}

void Slots::free_in_file(std::uint32_t first, std::uint32_t end) {
  free_in_file_ += end - first;
  auto next = free_runs_.lower_bound(first);
  if (next != free_runs_.end() && next->first == end) {
    end = next->second;
    next = free_runs_.erase(next);
  }
  if (next != free_runs_.begin() && std::prev(next)->second == first) {
    std::prev(next)->second = end;
  } else {
    free_runs_.emplace(first, end);
  }
}

bool Slots::release(Slot slot) {
  Entry& one = entry(slot);
  CHECK(one.owners > 0);
  if (--one.owners > 0) {
    return false;
  }
  half(slot).pages -= one.full;
  if (place_of(slot) == Place::kFile) {
    one.full = false;
    free_in_file(number_of(slot), number_of(slot) + 1);
    return true;
  }
  one.stale = one.stale || one.full;
  one.full = false;
  one.stale ? dead_.push_back(slot) : free_.push(slot);
  return true;
}

void Slots::filled(Slot slot) {
  Entry& one = entry(slot);
  CHECK(!one.full);
  one.full = true;
  one.stale = false;
  ++half(slot).pages;
}

void Slots::take_dead(std::vector<Slot>& dead, std::size_t max) {
  while (!dead_.empty() && dead.size() < max) {
    dead.push_back(dead_.back());
    dead_.pop_back();
  }
}

void Slots::flushed(Slot slot) {
  entry(slot).stale = false;
  free_.push(slot);
}

void Slots::restore(Slot slot) {
  Half& its = half(slot);
  if (number_of(slot) >= its.entries.size()) {
    its.entries.resize(std::size_t{number_of(slot)} + 1);
  }
  Entry& one = entry(slot);
  if (one.owners++ == 0) {
    one.full = true;
    ++its.pages;
  }
}

void Slots::restored() {
  for (Slot slot = 1; slot < fallow_.entries.size(); ++slot) {
    if (fallow_.entries[slot].owners == 0) {
      fallow_.entries[slot].stale = true;
      dead_.push_back(slot);
    }
  }
  for (std::uint32_t number = 1; number < file_.entries.size(); ++number) {
    if (file_.entries[number].owners == 0) {
      free_in_file(number, number + 1);
    }
  }
}

}  // namespace fallow::pager
