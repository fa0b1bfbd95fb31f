#include "sort_words/records.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace fallow::guests {
namespace {

constexpr std::uint64_t kWords = 100'000;
constexpr std::string_view kFirst = "bdfghklmnprstvwz";
constexpr std::string_view kSecond = "aeiouaeioaeioaea";
constexpr std::size_t kSyllablesMin = 2;
constexpr std::size_t kSyllablesRange = 8;
static_assert(2 * (kSyllablesMin + kSyllablesRange) <= sizeof(Record::word));

// The same word for the same rank.
void spell(std::uint64_t rank, std::array<char, 32>& word) {
  std::uint64_t letters = mix(rank + kWordStep);
  const std::size_t syllables = kSyllablesMin + letters % kSyllablesRange;
  for (std::size_t i = 0; i < syllables; ++i) {
    letters = letters >> 8 | letters << 56;
    word[2 * i] = kFirst[letters % 16];
    word[2 * i + 1] = kSecond[letters / 16 % 16];
  }
}

std::uint64_t digest(const Record& record) {
  std::array<std::uint64_t, sizeof(Record) / sizeof(std::uint64_t)> words{};
  std::memcpy(words.data(), &record, sizeof(record));
  Fingerprint sum;
  for (const std::uint64_t word : words) {
    sum.add(word);
  }
  return sum.value();
}

bool by_number(const Record& a, const Record& b) {
  return a.number < b.number;
}

bool by_word(const Record& a, const Record& b) {
  const int order = std::memcmp(a.word.data(), b.word.data(), a.word.size());
  return order != 0 ? order < 0 : by_number(a, b);
}

bool in_order(SortKey key, const Record& before, const Record& after) {
  return key == SortKey::kWord ? by_word(before, after) : by_number(before, after);
}

}  // namespace

Record make_record(std::uint64_t seed, std::uint64_t number) {
  Random random(mix(seed, number));
  const double place = random.fraction();
  Record record;
  spell(static_cast<std::uint64_t>(place * place * place * kWords), record.word);
  record.number = number;
  for (std::uint64_t& word : record.seal) {
    word = random.next();
  }
  return record;
}

Records::Records(std::uint64_t count, std::uint64_t seed) : seed_(seed) {
  records_.reserve(count);
  for (std::uint64_t number = 0; number < count; ++number) {
    const Record record = make_record(seed, number);
    made_ += digest(record);
    records_.push_back(record);
  }
}

void Records::sort(SortKey key) {
  std::sort(records_.begin(), records_.end(), key == SortKey::kWord ? by_word : by_number);
}

std::string Records::verify(SortKey key) {
  order_ = {};
  std::uint64_t found = 0;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const Record& record = records_[i];
    if (record != make_record(seed_, record.number)) {
      return "record " + std::to_string(i) + " came back from memory other than it was written";
    }
    if (i > 0 && !in_order(key, records_[i - 1], record)) {
      return "record " + std::to_string(i) + " is not in order: memory came back wrong";
    }
    const std::uint64_t sum = digest(record);
    found += sum;
    order_.add(sum);
  }
  return found == made_ ? "" : "a record is missing: memory came back wrong";
}

}  // namespace fallow::guests
