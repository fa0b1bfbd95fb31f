// in-memory-analytics (004, §2.3, after CloudSuite's): learns from more ratings than the guest's
// memory holds. Each iteration goes over the ratings twice in order, and over the factors mostly in
// order: ratings between the copies are what jumps.
#include "common/report.h"
#include "in_memory_analytics/least_squares.h"
#include "in_memory_analytics/options.h"

namespace fallow::guests {
namespace {

std::variant<RatingList, std::string> load(const RatingOptions& options) {
  // While it is read a rating takes this much, and one copy is not smaller.
  const std::uint64_t ratings_max = (options.megabytes << 20) / (2 * sizeof(Rating));
  return options.ratings.empty()
             ? generate_ratings(options.seed, rating_shape_within(options.megabytes))
             : load_ratings(options.ratings, ratings_max);
}

std::string iterate(LeastSquares& squares, std::uint64_t bytes, std::uint64_t iterations) {
  const std::uint64_t start_ms = now_ms();
  for (std::uint64_t i = 0; i < iterations; ++i) {
    const std::uint64_t step_ms = now_ms();
    if (std::string error = squares.iterate(); !error.empty()) {
      return error;
    }
    print_step(bytes, now_ms() - step_ms, printed("rmse %.9f", squares.rmse()));
  }
  print_phase("iterate", now_ms() - start_ms, "iterations " + std::to_string(iterations));
  return "";
}

std::string verify(LeastSquares& squares, const RatingTable& table) {
  const std::uint64_t start_ms = now_ms();
  if (std::string error = squares.verify(); !error.empty()) {
    return error;
  }
  if (!table.intact()) {
    return "a rating came back from memory other than it was written";
  }
  print_phase("verify", now_ms() - start_ms);
  return "";
}

int learn(const RatingList& list, std::uint64_t copies, const RatingOptions& options) {
  const std::uint64_t bytes = rating_footprint(list, options.factors).of(copies);
  print_attempt(bytes);
  const std::uint64_t start_ms = now_ms();
  const RatingTable table(list, copies, options.seed);
  LeastSquares squares(table, options.factors, options.seed);
  print_phase("build", now_ms() - start_ms,
              "copies " + std::to_string(copies) + " users " +
                  std::to_string(table.users().size()) + " movies " +
                  std::to_string(table.movies().size()) + " ratings " +
                  std::to_string(table.users().ratings()));
  std::string error = iterate(squares, bytes, options.iterations);
  if (error.empty()) {
    error = verify(squares, table);
  }
  if (!error.empty()) {
    return print_error(error);
  }
  print_done(printed("checksum %016llx copies %llu rmse %.9f milliseconds %llu",
                     static_cast<unsigned long long>(squares.checksum()),
                     static_cast<unsigned long long>(copies), squares.rmse(),
                     static_cast<unsigned long long>(now_ms() - start_ms)));
  return 0;
}

int run(const RatingOptions& options) {
  const std::uint64_t start_ms = now_ms();
  const auto loaded = load(options);
  if (const auto* error = std::get_if<std::string>(&loaded)) {
    return print_error(*error);
  }
  const auto& list = std::get<RatingList>(loaded);
  const Footprint footprint = rating_footprint(list, options.factors);
  const std::uint64_t copies = footprint.copies_in(options.megabytes);
  if (copies == 0) {
    std::fputs(too_small("in-memory-analytics", options.megabytes, footprint).c_str(), stderr);
    return 2;
  }
  print_phase("load", now_ms() - start_ms,
              "users " + std::to_string(list.users) + " movies " + std::to_string(list.movies) +
                  " ratings " + std::to_string(list.ratings.size()));
  return learn(list, copies, options);
}

}  // namespace
}  // namespace fallow::guests

int main(int argc, char** argv) {
  using namespace fallow::guests;
  return run_program(argc, argv, parse_rating_options, rating_help(), run);
}
