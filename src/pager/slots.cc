#include "pager/slots.h"

#include "base/check.h"

namespace fallow::pager {

Slots::Slots() : entries_(1) {}

void Slots::count(Place place, int by) {
  if (place == Place::kFallow) {
    in_fallow_ += static_cast<std::uint64_t>(by);
  } else if (place == Place::kFile) {
    in_file_ += static_cast<std::uint64_t>(by);
  }
}

Slot Slots::allocate() {
  Slot slot = kNoSlot;
  if (!dead_.empty()) {
    slot = dead_.back();
    dead_.pop_back();
  } else if (!free_.empty()) {
    slot = free_.top();
    free_.pop();
  } else {
    slot = static_cast<Slot>(entries_.size());
    CHECK(slot != kNoSlot);
    entries_.emplace_back();
  }
  entries_[slot].owners = 1;
  return slot;
}

void Slots::release(Slot slot) {
  Entry& entry = entries_[slot];
  CHECK(entry.owners > 0);
  if (--entry.owners > 0) {
    return;
  }
  count(entry.place, -1);
  entry.stale = entry.stale || entry.place == Place::kFallow;
  entry.place = Place::kNone;
  entry.stale ? dead_.push_back(slot) : free_.push(slot);
}

void Slots::set_place(Slot slot, Place place) {
  CHECK(entries_[slot].place == Place::kNone);
  entries_[slot].place = place;
  entries_[slot].stale = false;  // a put that is refused drops what the key had
  count(place, 1);
}

void Slots::take_dead(std::vector<Slot>& dead, std::size_t max) {
  while (!dead_.empty() && dead.size() < max) {
    dead.push_back(dead_.back());
    dead_.pop_back();
  }
}

void Slots::flushed(Slot slot) {
  entries_[slot].stale = false;
  free_.push(slot);
}

void Slots::restore(Slot slot, Place place) {
  if (slot >= entries_.size()) {
    entries_.resize(std::size_t{slot} + 1);
  }
  Entry& entry = entries_[slot];
  if (entry.owners++ == 0) {
    entry.place = place;
    count(place, 1);
  }
}

void Slots::restored() {
  for (Slot slot = 1; slot < entries_.size(); ++slot) {
    if (entries_[slot].owners == 0) {
      entries_[slot].stale = true;
      dead_.push_back(slot);
    }
  }
}

}  // namespace fallow::pager
