// Ranges of a disk of any length, as transfers that the ring takes, several at once.
//
// Source: offsets and lengths are bytes and checked here. All functions: 0 or fail(); the queue's
// thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "client/queue.h"

namespace fallow::client {

int read_disk(Queue& queue, void* data, std::size_t length, std::uint64_t offset);
int write_disk(Queue& queue, const void* data, std::size_t length, std::uint64_t offset);
int sync_disk(Queue& queue);
int discard_disk(Queue& queue, std::uint64_t length, std::uint64_t offset);
int zero_disk(Queue& queue, std::uint64_t length, std::uint64_t offset);
// 1: `extent` bytes from `offset` on are a hole; 0: they are not.
int find_extent(Queue& queue, std::uint64_t length, std::uint64_t offset, std::uint64_t& extent);

}  // namespace fallow::client
