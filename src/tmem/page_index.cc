#include "tmem/page_index.h"

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

PageIndex::PageIndex(std::span<memory::FrameRecord> records, std::uint64_t seed)
    : records_(records), hash_(seed), links_(records.size()), shards_(kShards) {
  const std::size_t buckets_per_shard = records.size() / kShards + 1;
  buckets_.assign(buckets_per_shard * kShards, kNoRecord);
  for (std::uint32_t i = 0; i < kShards; ++i) {
    shards_[i].number = i;
    shards_[i].buckets = std::span(buckets_).subspan(i * buckets_per_shard, buckets_per_shard);
  }
}

PageIndex::Place PageIndex::place_of(const PageKey& key) {
  const std::uint64_t hash = hash_(key);
  Shard& shard = shards_[hash >> 58];
  static_assert(kShards == 1u << 6, "the shard is the hash's top six bits");
  // Scales the low half to the number of buckets, which is no power of two.
  const std::uint64_t bucket = ((hash & 0xffffffff) * shard.buckets.size()) >> 32;
  return {&shard, static_cast<std::uint32_t>(bucket)};
}

std::uint32_t PageIndex::find(const Place& place, const PageKey& key) const {
  std::uint32_t at = place.shard->buckets[place.bucket];
  while (at != kNoRecord) {
    const memory::FrameRecord& record = records_[at];
    if (record.index == key.index && record.pool == key.pool.value && record.object == key.object) {
      return at;
    }
    at = links_[at].chain_next;
  }
  return kNoRecord;
}

void PageIndex::insert(const Place& place, std::uint32_t record) {
  links_[record].chain_next = place.shard->buckets[place.bucket];
  place.shard->buckets[place.bucket] = record;
}

void PageIndex::erase(const Place& place, std::uint32_t record) {
  std::uint32_t* at = &place.shard->buckets[place.bucket];
  while (*at != record) {
    CHECK(*at != kNoRecord);
    at = &links_[*at].chain_next;
  }
  *at = links_[record].chain_next;
}

}  // namespace fallow::tmem
