#include "sql_analytics/options.h"

#include "common/copies.h"
#include "common/options.h"
#include "sql_analytics/rating_base.h"

namespace fallow::guests {

std::variant<SqlOptions, std::string> parse_sql_options(std::span<const char* const> arguments) {
  SqlOptions options;
  Options table("sql-analytics", options.help);
  table.text("--ratings", options.ratings);
  table.count("--megabytes", options.megabytes, {kRatingBaseMegabytesMin, kMegabytesMax});
  table.count("--iterations", options.iterations, {1, 1'000'000});
  table.count("--seed", options.seed);
  if (std::string error = table.parse(arguments); !error.empty()) {
    return error;
  }
  return options;
}

std::string_view sql_help() {
  return R"(sql-analytics [--ratings FILE] [--megabytes N] [--iterations N] [--seed N]
Asks a database in memory, made with SQLite, about ratings of movies by users. The ratings of FILE, under
the header 'userid,movieid,rating,timestamp', or generated ones of the same shape; copied, with some
ratings between the copies, until all takes N MiB (128) when it takes most. Each iteration (2) builds the
indexes, groups, joins and orders over all ratings, and drops the indexes; its answers must be those of
the first. In the end every rating is read and verified, and so is the database's structure. --seed (1):
the generated ratings, those between copies, and the movies' titles.
Prints 'attempt BYTES' before it takes the memory, 'step BYTES MILLISECONDS rows R answers X' after each
iteration, 'phase NAME MILLISECONDS ...' for load, build, iterate and verify, and 'done checksum X ...',
where X depends on every row of every answer and is the same for the same ratings, size and seed. Exit
codes: 0 done and verified; 1 the file is not one of ratings, memory was refused or came back wrong; 2
wrong use.
)";
}

}  // namespace fallow::guests
