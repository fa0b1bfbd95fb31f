// What sort-words sorts: records that are moved whole, so that sorting goes over all of the memory,
// halves of it, quarters, and so on: with half of it swapped out the first few are slow, the rest
// is not.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/mix.h"

namespace fallow::guests {

struct Record {
  std::array<char, 32> word{};  // small letters, then zeros
  std::uint64_t number = 0;     // its place when it was made
  std::array<std::uint64_t, 3> seal{};

  bool operator==(const Record&) const = default;
};
static_assert(sizeof(Record) == 64);

// As in a text, few words are frequent and most are rare.
Record make_record(std::uint64_t seed, std::uint64_t number);

enum class SortKey { kWord, kNumber };

class Records {
 public:
  Records(std::uint64_t count, std::uint64_t seed);

  [[nodiscard]] std::uint64_t size() const { return records_.size(); }
  // No two records have the same place, as equal words are ordered by number.
  void sort(SortKey key);
  // "", or what is wrong with one of the records: each is to be as it was made, of another number
  // than any other, and in order.
  [[nodiscard]] std::string verify(SortKey key);
  // Of the last verify(): depends on every record and its place.
  [[nodiscard]] std::uint64_t order() const { return order_.value(); }

 private:
  std::uint64_t seed_;
  std::vector<Record> records_;
  std::uint64_t made_ = 0;  // a sum over all records, whatever their order
  Fingerprint order_;

  friend class RecordsTest;
};

}  // namespace fallow::guests
