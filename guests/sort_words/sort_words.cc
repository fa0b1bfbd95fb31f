// sort-words: sorts records in memory that is larger than the guest's. Unlike the analytics it
// writes wherever it reads.
#include "common/copies.h"
#include "common/report.h"
#include "sort_words/options.h"
#include "sort_words/records.h"

namespace fallow::guests {
namespace {

constexpr SortKey key_of(std::uint64_t iteration) {
  return iteration % 2 == 0 ? SortKey::kWord : SortKey::kNumber;
}

std::string sort_once(Records& records, SortKey key, std::uint64_t bytes) {
  const std::uint64_t start_ms = now_ms();
  records.sort(key);
  if (std::string error = records.verify(key); !error.empty()) {
    return error;
  }
  print_step(bytes, now_ms() - start_ms,
             printed("by %s order %016llx", key == SortKey::kWord ? "word" : "number",
                     static_cast<unsigned long long>(records.order())));
  return "";
}

int run(const SortOptions& options) {
  const std::uint64_t start_ms = now_ms();
  const std::uint64_t bytes = options.megabytes << 20;
  print_attempt(bytes);
  Records records((bytes - kProgramBytes) / sizeof(Record), options.seed);
  const std::uint64_t built_ms = now_ms();
  print_phase("build", built_ms - start_ms, "records " + std::to_string(records.size()));
  Fingerprint checksum;
  for (std::uint64_t i = 0; i < options.iterations; ++i) {
    if (std::string error = sort_once(records, key_of(i), bytes); !error.empty()) {
      return print_error(error);
    }
    checksum.add(records.order());
  }
  print_phase("iterate", now_ms() - built_ms, "iterations " + std::to_string(options.iterations));
  print_done(printed("checksum %016llx records %llu milliseconds %llu",
                     static_cast<unsigned long long>(checksum.value()),
                     static_cast<unsigned long long>(records.size()),
                     static_cast<unsigned long long>(now_ms() - start_ms)));
  return 0;
}

}  // namespace
}  // namespace fallow::guests

int main(int argc, char** argv) {
  using namespace fallow::guests;
  return run_program(argc, argv, parse_sort_options, sort_help(), run);
}
