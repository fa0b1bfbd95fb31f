// Clients of redis and memcached over a Unix socket, as cheap as they can be made: requests are
// gathered without a copy and sent with one call, answers are only measured where they lie.
//
// One thread. A failure ends the benchmark.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace fallow::bench {

class CacheClient {
 public:
  enum class Protocol : std::uint8_t { kRedis, kMemcached };

  // Values are pages.
  CacheClient(Protocol protocol, const std::string& socket);

  // Puts or gets the keys with one batch, and waits for all answers.
  void put(std::span<const std::uint32_t> keys, const std::byte* page);
  void get(std::span<const std::uint32_t> keys);

 private:
  void send(std::vector<iovec>& parts);
  void receive(std::size_t bytes);
  [[nodiscard]] std::size_t value_bytes() const;

  const Protocol protocol_;
  UniqueFd socket_;
  std::vector<char> requests_;
  std::vector<iovec> parts_;
  std::vector<char> answers_;
};

}  // namespace fallow::bench
