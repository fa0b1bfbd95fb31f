#include "in_memory_analytics/options.h"

#include "common/copies.h"
#include "common/options.h"
#include "in_memory_analytics/least_squares.h"

namespace fallow::guests {

std::variant<RatingOptions, std::string> parse_rating_options(
    std::span<const char* const> arguments) {
  RatingOptions options;
  Options table("in-memory-analytics", options.help);
  table.text("--ratings", options.ratings);
  table.count("--megabytes", options.megabytes, {1, kMegabytesMax});
  table.count("--factors", options.factors, {1, kFactorsMax});
  table.count("--iterations", options.iterations, {1, 1'000'000});
  table.count("--seed", options.seed);
  if (std::string error = table.parse(arguments); !error.empty()) {
    return error;
  }
  return options;
}

std::string_view rating_help() {
  return R"(in-memory-analytics [--ratings FILE] [--megabytes N] [--factors N] [--iterations N] [--seed N]
Learns from ratings of movies by users what each user likes, as N numbers (--factors, 8), by
alternating least squares. The ratings of FILE, under the header 'userid,movieid,rating,timestamp', or
generated ones of the same shape. As many copies of them, with some ratings between the copies, as take
N MiB (128). Goes over all of that memory in each iteration (4), and verifies it. --seed (1): the
generated ratings, those between copies, and the numbers to begin with.
Prints 'attempt BYTES' before it takes the memory, 'step BYTES MILLISECONDS rmse R' after each
iteration, where R is how far off its ratings are, 'phase NAME MILLISECONDS ...' for load, build and
iterate, and 'done checksum X ...', where X depends on every number learned and is the same for the
same ratings, size and seed. Exit codes: 0 done and verified; 1 the file is not one of ratings, memory
was refused or came back wrong; 2 wrong use.
)";
}

}  // namespace fallow::guests
