// What one export has done, counted by its loop's thread and read by any.
#pragma once

#include <atomic>
#include <cstdint>

namespace fallow {

// A snapshot. Totals since the export was made; requests of all front ends that came and went.
struct ExportStatistics {
  bool connected = false;
  std::uint64_t connections = 0;          // front ends accepted
  std::uint64_t connections_refused = 0;  // because one was there already
  std::uint64_t protocol_errors = 0;      // front ends dropped, or told off, for what they sent
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t discards = 0;  // write-zeroes included
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t errors = 0;         // requests answered with an error
  std::uint64_t queues_broken = 0;  // rings stopped because the guest broke their rules
  std::uint64_t in_flight = 0;
};

namespace vhost_user {

// A number with one writer. relaxed: each stands for itself; nothing is ordered by them.
class Counter {
 public:
  void add(std::uint64_t by) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t by) { add(0 - by); }
  [[nodiscard]] std::uint64_t read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct ExportCounters {
  Counter connected;
  Counter connections;
  Counter connections_refused;
  Counter protocol_errors;
  Counter reads;
  Counter writes;
  Counter flushes;
  Counter discards;
  Counter bytes_read;
  Counter bytes_written;
  Counter errors;
  Counter queues_broken;
  Counter in_flight;

  [[nodiscard]] ExportStatistics snapshot() const {
    ExportStatistics result;
    result.connected = connected.read() != 0;
    result.connections = connections.read();
    result.connections_refused = connections_refused.read();
    result.protocol_errors = protocol_errors.read();
    result.reads = reads.read();
    result.writes = writes.read();
    result.flushes = flushes.read();
    result.discards = discards.read();
    result.bytes_read = bytes_read.read();
    result.bytes_written = bytes_written.read();
    result.errors = errors.read();
    result.queues_broken = queues_broken.read();
    result.in_flight = in_flight.read();
    return result;
  }
};

}  // namespace vhost_user
}  // namespace fallow
