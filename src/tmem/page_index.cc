#include "tmem/page_index.h"

#include <sys/mman.h>

#include <memory>

#include "base/check.h"

namespace fallow::tmem {

void AgeList::push_newest(std::span<Links> links, std::uint32_t record, Age age) {
  Links& at = links[record];
  at.age = age;
  at.age_previous = tail_;
  at.age_next = kNoRecord;
  (tail_ == kNoRecord ? head_ : links[tail_].age_next) = record;
  tail_ = record;
}

void AgeList::remove(std::span<Links> links, std::uint32_t record) {
  const Links& at = links[record];
  (at.age_previous == kNoRecord ? head_ : links[at.age_previous].age_next) = at.age_next;
  (at.age_next == kNoRecord ? tail_ : links[at.age_next].age_previous) = at.age_previous;
}

template <typename Item>
HugeArray<Item>::HugeArray(std::size_t count, Item initial) : count_(count) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const std::size_t bytes = (count * sizeof(Item) + kHugePage - 1) / kHugePage * kHugePage;
  items_.reset(static_cast<Item*>(std::aligned_alloc(kHugePage, bytes)));
  CHECK(items_ != nullptr);
  ::madvise(items_.get(), bytes, MADV_HUGEPAGE);  // a wish; nothing depends on it
  std::uninitialized_fill_n(items_.get(), count, initial);
}

PageIndex::PageIndex(std::span<memory::FrameRecord> records, std::uint64_t seed)
    : records_(records),
      hash_(seed),
      buckets_per_shard_(records.size() / kShards + 1),
      links_(records.size(), Links{}),
      buckets_(buckets_per_shard_ * kShards, kNoRecord),
      filters_(buckets_per_shard_ * kShards, 0),
      shards_(kShards) {
  for (std::uint32_t i = 0; i < kShards; ++i) {
    shards_[i].number = i;
  }
}

PageIndex::Place PageIndex::place_of(const PageKey& key) {
  const std::uint64_t hash = hash_(key);
  static_assert(kShards == 1u << 6, "the shard is the hash's top six bits, the tag the next eight");
  const std::uint64_t shard = hash >> 58;
  const auto tag = static_cast<std::uint16_t>(1u << (hash >> 54 & 15) | 1u << (hash >> 50 & 15));
  // Scales the low half to the number of buckets, which is no power of two.
  const std::uint64_t bucket = ((hash & 0xffffffff) * buckets_per_shard_) >> 32;
  return {&shards_[shard], static_cast<std::uint32_t>(shard * buckets_per_shard_ + bucket), tag};
}

std::uint32_t PageIndex::find(const Place& place, const PageKey& key) const {
  if (!may_contain(place)) {
    return kNoRecord;
  }
  std::uint32_t at = buckets_.items()[place.bucket];
  while (at != kNoRecord) {
    const memory::FrameRecord& record = records_[at];
    if (record.index == key.index && record.pool == key.pool.value && record.object == key.object) {
      return at;
    }
    at = links_.items()[at].chain_next;
  }
  return kNoRecord;
}

void PageIndex::insert(const Place& place, std::uint32_t record) {
  std::uint32_t& head = buckets_.items()[place.bucket];
  links_.items()[record].chain_next = head;
  // relaxed: guess() makes no use of it but to prefetch.
  std::atomic_ref(head).store(record, std::memory_order_relaxed);
  const std::atomic_ref filter(filters_.items()[place.bucket]);
  // relaxed: pairs with may_contain(), which promises nothing about other threads' puts.
  filter.store(filter.load(std::memory_order_relaxed) | place.tag, std::memory_order_relaxed);
}

void PageIndex::erase(const Place& place, std::uint32_t record) {
  std::uint32_t& head = buckets_.items()[place.bucket];
  std::uint32_t* at = &head;
  while (*at != record) {
    CHECK(*at != kNoRecord);
    at = &links_.items()[*at].chain_next;
  }
  std::atomic_ref(*at).store(links_.items()[record].chain_next, std::memory_order_relaxed);
  if (head == kNoRecord) {
    std::atomic_ref(filters_.items()[place.bucket])
        .store(std::uint16_t{0}, std::memory_order_relaxed);
  }
}

}  // namespace fallow::tmem
