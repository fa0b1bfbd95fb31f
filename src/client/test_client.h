// What the library's tests share: a socket in a private folder, clients that close themselves, and
// pages that tell their number.
#pragma once

#include <fallow/fallow.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "base/temp_dir.h"

namespace fallow::client {

struct CloseClient {
  void operator()(fallow_client* client) const { fallow_close(client); }
};
using OwnedClient = std::unique_ptr<fallow_client, CloseClient>;

struct TestPlace {
  [[nodiscard]] std::string socket() const { return dir.path() + "/ring.sock"; }

  [[nodiscard]] OwnedClient connect(unsigned reconnect_timeout_ms = 20'000,
                                    const char* disk = nullptr) const {
    const std::string path = socket();
    fallow_options options{};
    options.size = sizeof options;
    options.socket = path.c_str();
    options.name = disk == nullptr ? "test" : nullptr;
    options.disk = disk;
    options.reconnect_timeout_ms = reconnect_timeout_ms;
    fallow_client* client = nullptr;
    EXPECT_EQ(fallow_connect(&options, &client), 0) << fallow_error();
    return OwnedClient(client);
  }

  TempDir dir;
};

inline fallow_queue* open_queue(const OwnedClient& client, unsigned depth = 0) {
  fallow_queue* queue = nullptr;
  EXPECT_EQ(fallow_queue_open(client.get(), depth, &queue), 0) << fallow_error();
  return queue;
}

inline fallow_pool open_pool(fallow_queue* queue, std::uint64_t label) {
  fallow_pool pool = 0;
  EXPECT_EQ(fallow_pool_open(queue, FALLOW_PERSISTENT, label, &pool), 0) << fallow_error();
  return pool;
}

using PageWords = std::array<std::uint64_t, FALLOW_PAGE_SIZE / 8>;

inline PageWords numbered_page(std::uint64_t number) {
  PageWords page;
  for (std::size_t i = 0; i < page.size(); ++i) {
    page[i] = number * 0x9e3779b97f4a7c15 + i;
  }
  return page;
}

}  // namespace fallow::client
