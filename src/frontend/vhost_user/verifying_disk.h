// A disk under a load that knows what every page must hold: random reads, writes and discards at
// full depth over a vhost-user connection, with every byte that comes back compared. It survives
// the back end's death: it connects again, to whatever listens at the socket then, and goes on with
// what was in flight.
//
// What holds for each page: a read returns the version that was acknowledged last, or one whose
// write was in flight together with the read. With Errors::kAllowed an operation may fail; the page
// may then hold the old version or the new one, or fail to be read, until it is written again.
//
// For tests against any vhost-user-blk back end. One thread, not the back end's.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "frontend/vhost_user/test_front_end.h"

namespace fallow::vhost_user {

class VerifyingDisk {
 public:
  enum class Errors { kForbidden, kAllowed };
  enum class Tearing { kForbidden, kAllowed };
  struct Options {
    std::string socket_path;
    std::uint64_t pages = 1024;  // from the disk's begin; they must be holes at first
    unsigned queues = 1;
    unsigned depth = 32;   // requests in flight on each queue; a power of two up to 512
    bool inflight = true;  // use an in-flight region
    Errors errors = Errors::kForbidden;
    // Whether a read may see a part of a write that is in flight. (Fallow's pages are old or new.)
    Tearing tearing = Tearing::kForbidden;
    bool compressible = false;  // pages that shrink: some well, some a little, some not at all
    std::uint64_t seed = 1;
    int timeout_ms = 20'000;  // for a request, or a new connection
  };

  static Result<std::unique_ptr<VerifyingDisk>> open(const Options& options);

  // Completes that many operations, or goes on until `enough` is set, by another thread or a
  // signal. Whatever is in flight at the end stays so. An error tells of a wrong byte, an operation
  // that failed, never completed or completed twice, or a disk that cannot be reached.
  Status run(std::uint64_t operations);
  Status run_until(const std::atomic<bool>& enough);
  // Completes what is in flight, then reads every page back.
  Status verify_all();

  [[nodiscard]] std::uint64_t operations() const { return operations_; }  // completed
  [[nodiscard]] std::uint64_t reconnections() const { return reconnections_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_; }  // operations that failed
  [[nodiscard]] TestFrontEnd& front_end() { return *front_; }

 private:
  using Version = std::uint64_t;  // 0: zeros
  struct Page {
    std::vector<Version> possible{0};  // what it may hold, its write in flight left out
    Version writing = 0;               // of the write or discard in flight
    bool changing = false;             // one is in flight
  };
  struct Request {
    enum class Kind { kRead, kWrite, kZero } kind = Kind::kRead;
    bool in_flight = false;
    std::uint64_t page = 0;
    std::vector<Version> possible;  // kRead: what it may return
  };
  struct Queue {
    std::vector<Request> requests;
    unsigned in_flight = 0;
  };

  explicit VerifyingDisk(const Options& options);
  void fill(unsigned queue);
  void submit(unsigned queue, unsigned slot, Request::Kind kind, std::uint64_t page);
  void write_version(std::span<std::byte> to, std::uint64_t page, Version version) const;
  Status reap(bool& some);
  Status complete(unsigned queue, const DriverQueue::Completion& completion);
  [[nodiscard]] bool holds(std::span<const std::byte> data, std::uint64_t page,
                           Version version) const;
  [[nodiscard]] bool holds_mixture(std::span<const std::byte> data, const Request& request) const;
  Status check_read(const Request& request, std::span<const std::byte> data) const;
  void note_change(Page& page, bool good);
  Status turn();
  Status wait();
  Status drain();
  Status reconnect();
  [[nodiscard]] Error wrong(const Request& request, const std::string& what) const;

  Options options_;
  std::unique_ptr<TestFrontEnd> front_;
  std::vector<Page> pages_;
  std::vector<Queue> queues_;
  std::mt19937_64 random_;
  Version next_version_ = 1;
  std::uint64_t operations_ = 0;
  std::uint64_t reconnections_ = 0;
  std::uint64_t errors_ = 0;
};

}  // namespace fallow::vhost_user
