// data-caching (after CloudSuite's): a memcached whose values are asked for by a client that knows
// what each must be. Its memory is touched at random, some of it often and most of it rarely.
#include "common/copies.h"
#include "common/report.h"
#include "data_caching/cache.h"
#include "data_caching/items.h"
#include "data_caching/options.h"

namespace fallow::guests {
namespace {

class DataCaching {
 public:
  explicit DataCaching(const CachingOptions& options)
      : options_(options),
        items_(items_in(options.megabytes), options.seed),
        requests_(items_.size(), options.seed),
        cache_(options.memcached, options.megabytes) {}

  // "", or what is wrong.
  std::string run() {
    std::string error = cache_.error();
    error = error.empty() ? load() : error;
    error = error.empty() ? iterate() : error;
    return error.empty() ? verify() : error;
  }
  [[nodiscard]] std::uint64_t checksum() const { return read_.value(); }
  [[nodiscard]] std::uint64_t items() const { return items_.size(); }

 private:
  std::string load() {
    const std::uint64_t start_ms = now_ms();
    std::string error;
    for (std::uint64_t item = 0; item < items_.size() && error.empty(); ++item) {
      error = set(item);
    }
    if (error.empty()) {
      print_phase("load", now_ms() - start_ms, "items " + std::to_string(items_.size()));
    }
    return error;
  }

  std::string iterate() {
    const std::uint64_t start_ms = now_ms();
    std::string error;
    for (std::uint64_t i = 0; i < options_.iterations && error.empty(); ++i) {
      error = iterate_once();
    }
    if (error.empty()) {
      print_phase("iterate", now_ms() - start_ms,
                  "iterations " + std::to_string(options_.iterations));
    }
    return error;
  }

  std::string iterate_once() {
    const std::uint64_t start_ms = now_ms();
    std::uint64_t sets = 0;
    for (std::uint64_t i = 0; i < items_.size(); ++i) {
      const Request request = requests_.next();
      sets += request.is_set ? 1 : 0;
      std::string error = request.is_set ? set(request.item) : get(request.item);
      if (!error.empty()) {
        return error;
      }
    }
    print_step(options_.megabytes << 20, now_ms() - start_ms,
               printed("gets %llu sets %llu", static_cast<unsigned long long>(items_.size() - sets),
                       static_cast<unsigned long long>(sets)));
    return "";
  }

  std::string verify() {
    const std::uint64_t start_ms = now_ms();
    std::string error;
    for (std::uint64_t item = 0; item < items_.size() && error.empty(); ++item) {
      error = get(item);
    }
    if (error.empty()) {
      print_phase("verify", now_ms() - start_ms);
    }
    return error;
  }

  std::string set(std::uint64_t item) {
    return cache_.set(Items::key(item), items_.next_value(item));
  }

  std::string get(std::uint64_t item) {
    std::string error;
    const std::optional<std::string> found = cache_.get(Items::key(item), error);
    if (!error.empty()) {
      return error;
    }
    if (!found) {
      return "item " + std::to_string(item) + " is missing, and memcached may evict nothing";
    }
    if (*found != items_.value(item)) {
      return "item " + std::to_string(item) + " came back from memory other than it was written";
    }
    read_.add_text(*found);
    return "";
  }

  const CachingOptions& options_;
  Items items_;
  Requests requests_;
  Cache cache_;
  Fingerprint read_;
};

int run(const CachingOptions& options) {
  end_children_on_signals();
  const std::uint64_t start_ms = now_ms();
  print_attempt(options.megabytes << 20);
  DataCaching caching(options);
  const std::string error = caching.run();
  if (stop_requested()) {
    return print_error("a signal asked for the end");
  }
  if (!error.empty()) {
    return print_error(error);
  }
  print_done(printed("checksum %016llx items %llu misses 0 milliseconds %llu",
                     static_cast<unsigned long long>(caching.checksum()),
                     static_cast<unsigned long long>(caching.items()),
                     static_cast<unsigned long long>(now_ms() - start_ms)));
  return 0;
}

}  // namespace
}  // namespace fallow::guests

int main(int argc, char** argv) {
  using namespace fallow::guests;
  return run_program(argc, argv, parse_caching_options, caching_help(), run);
}
