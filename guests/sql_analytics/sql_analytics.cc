// sql-analytics: questions to a database that is larger than the guest's memory. Building an index
// sorts, grouping goes over an index or a table in order, and joins jump about in them.
#include "common/copies.h"
#include "common/report.h"
#include "sql_analytics/options.h"
#include "sql_analytics/rating_base.h"

namespace fallow::guests {
namespace {

std::variant<RatingList, std::string> load(const SqlOptions& options) {
  // A part of the memory that leaves most of it to the database.
  const std::uint64_t ratings_max = (options.megabytes << 20) / (8 * sizeof(Rating));
  return options.ratings.empty()
             ? generate_ratings(options.seed, rating_shape_within(options.megabytes))
             : load_ratings(options.ratings, ratings_max);
}

std::string iterate(RatingBase& base, const SqlOptions& options, Fingerprint& checksum) {
  const std::uint64_t start_ms = now_ms();
  for (std::uint64_t i = 0; i < options.iterations; ++i) {
    const std::uint64_t step_ms = now_ms();
    Answer answer;
    if (std::string error = base.iterate(answer); !error.empty()) {
      return error;
    }
    checksum.add(answer.sum.value());
    print_step(options.megabytes << 20, now_ms() - step_ms,
               printed("rows %llu answers %016llx", static_cast<unsigned long long>(answer.rows),
                       static_cast<unsigned long long>(answer.sum.value())));
  }
  print_phase("iterate", now_ms() - start_ms, "iterations " + std::to_string(options.iterations));
  return "";
}

std::string build(RatingBase& base, std::uint64_t count) {
  const std::uint64_t start_ms = now_ms();
  std::string error = base.build();
  if (error.empty()) {
    print_phase("build", now_ms() - start_ms,
                "copies " + std::to_string(base.copies()) + " movies " +
                    std::to_string(base.movies()) + " ratings " + std::to_string(count));
  }
  return error;
}

std::string verify(RatingBase& base) {
  const std::uint64_t start_ms = now_ms();
  std::string error = base.verify();
  if (error.empty()) {
    print_phase("verify", now_ms() - start_ms);
  }
  return error;
}

int ask(const RatingList& list, std::uint64_t count, const SqlOptions& options) {
  const std::uint64_t start_ms = now_ms();
  print_attempt(options.megabytes << 20);
  RatingBase base(list, count, options.seed);
  Fingerprint checksum;
  std::string error = build(base, count);
  error = error.empty() ? iterate(base, options, checksum) : error;
  error = error.empty() ? verify(base) : error;
  if (!error.empty()) {
    return print_error(error);
  }
  print_done(printed("checksum %016llx copies %llu ratings %llu milliseconds %llu",
                     static_cast<unsigned long long>(checksum.value()),
                     static_cast<unsigned long long>(base.copies()),
                     static_cast<unsigned long long>(count),
                     static_cast<unsigned long long>(now_ms() - start_ms)));
  return 0;
}

int run(const SqlOptions& options) {
  const std::uint64_t start_ms = now_ms();
  const auto loaded = load(options);
  if (const auto* error = std::get_if<std::string>(&loaded)) {
    return print_error(*error);
  }
  const auto& list = std::get<RatingList>(loaded);
  print_phase("load", now_ms() - start_ms,
              "users " + std::to_string(list.users) + " movies " + std::to_string(list.movies) +
                  " ratings " + std::to_string(list.ratings.size()));
  return ask(list, ratings_in(options.megabytes, list), options);
}

}  // namespace
}  // namespace fallow::guests

int main(int argc, char** argv) {
  using namespace fallow::guests;
  return run_program(argc, argv, parse_sql_options, sql_help(), run);
}
