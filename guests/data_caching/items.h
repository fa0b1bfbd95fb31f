// What data-caching keeps: values made from their keys, and which of them is asked for when.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/mix.h"

namespace fallow::guests {

inline constexpr std::uint64_t kCacheMegabytesMin = 16;
inline constexpr std::size_t kValueBytesMin = 1024;
inline constexpr std::size_t kValueBytesMax = 4096;

// As many items as take that much memory in a memcached with all that it keeps about them.
std::uint64_t items_in(std::uint64_t megabytes);

class Items {
 public:
  Items(std::uint64_t count, std::uint64_t seed) : seed_(seed), writes_(count) {}

  [[nodiscard]] std::uint64_t size() const { return writes_.size(); }
  [[nodiscard]] static std::string key(std::uint64_t item);
  // What was last written; "" before the first time.
  [[nodiscard]] std::string value(std::uint64_t item) const;
  // What to write next.
  std::string next_value(std::uint64_t item);

 private:
  std::uint64_t seed_;
  std::vector<std::uint32_t> writes_;  // of each item
};

struct Request {
  std::uint64_t item = 0;
  bool is_set = false;
};

// One request in 20 is a set. A tenth of the items gets almost half of the requests; which ones
// has nothing to do with the order in which they were written.
class Requests {
 public:
  // At least one item.
  Requests(std::uint64_t items, std::uint64_t seed) : items_(items), random_(seed) {}
  Request next();

 private:
  std::uint64_t items_;
  Random random_;
};

}  // namespace fallow::guests
