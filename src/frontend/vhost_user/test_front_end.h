// A small vhost-user front end with a virtio-blk driver behind it: what QEMU and a guest would do,
// without either. For tests, benchmarks and checks of any vhost-user-blk back end, ours or others'.
//
//   auto front = TestFrontEnd::connect(path, {.queues = 2});
//   (*front)->write(0, data);                         // one request at a time ...
//   DriverQueue& queue = (*front)->queue(0);          // ... or many
//   queue.submit(slot, VIRTIO_BLK_T_IN, sector, 4096); queue.kick(); queue.wait(completion, 1000);
//
// One thread, not the back end's: requests of the protocol block until they are answered.
#pragma once

#include <linux/virtio_blk.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "frontend/vhost_user/device_config.h"
#include "frontend/vhost_user/driver_queue.h"
#include "frontend/vhost_user/messages.h"

namespace fallow::vhost_user {

class TestFrontEnd {
 public:
  struct Options {
    unsigned queues = 1;
    DriverQueue::Options queue{};
    // Into how many regions, adjacent for the guest, the memory table is cut: 1 or 2. Two are cut
    // in the middle of the last queue's data.
    unsigned regions = 1;
    bool start = true;  // false: negotiate only; start_queues() yourself
    // Keeps an in-flight region of the back end's, if it offers one, for reconnect().
    bool inflight = false;
    bool enable = true;  // false: started rings wait for SET_VRING_ENABLE
    int timeout_ms = 20'000;
  };
  static constexpr std::uint64_t kGuestBase = 0x4000'0000;

  // Connects, negotiates, shares memory and starts the queues.
  static Result<std::unique_ptr<TestFrontEnd>> connect(const std::string& socket_path,
                                                       const Options& options);
  // The same over a connected socket.
  static Result<std::unique_ptr<TestFrontEnd>> adopt(UniqueFd socket, const Options& options);

  // Connects anew after the back end has died or has closed the connection: the same memory, the
  // same rings at their used indices, the same in-flight region. What was submitted and has not
  // completed will. After an error, try again. kRemembered: as QEMU 7.2 does it while the guest's
  // driver has not started: it goes on with the protocol features that it acknowledged before.
  enum class Acknowledging { kAnew, kRemembered };
  Status reconnect(const std::string& socket_path,
                   Acknowledging acknowledging = Acknowledging::kAnew);

  [[nodiscard]] const virtio_blk_config& config() const { return config_; }
  [[nodiscard]] std::uint64_t features() const { return features_; }
  [[nodiscard]] std::uint64_t queue_num() const { return queue_num_; }
  [[nodiscard]] DriverQueue& queue(unsigned index) { return *queues_[index]; }

  // One request on `queue`, through slot 0; the queue must be idle. The status of virtio-blk, or
  // nothing when none came in time. At most `slot_bytes` of data.
  using BlockStatus = std::optional<std::uint8_t>;
  BlockStatus read(std::uint64_t offset, std::span<std::byte> to, unsigned queue = 0);
  BlockStatus write(std::uint64_t offset, std::span<const std::byte> from, unsigned queue = 0);
  BlockStatus flush(unsigned queue = 0);
  BlockStatus discard(std::uint64_t offset, std::uint64_t length, std::uint32_t flags = 0);
  BlockStatus write_zeroes(std::uint64_t offset, std::uint64_t length, std::uint32_t flags = 0);
  BlockStatus get_id(std::string& id);
  BlockStatus request(std::uint32_t type, std::uint64_t sector, std::uint32_t length,
                      unsigned queue = 0);

  // Pieces of the protocol, for tests that leave the beaten track.
  Status start_queues();
  Status share_memory();
  // Asks for an in-flight region, or brings the one that was got before.
  Status share_inflight_region();
  [[nodiscard]] int inflight_fd() const { return inflight_fd_.get(); }
  Result<std::uint32_t> stop_queue(unsigned index);  // the ring's base
  [[nodiscard]] Status setup_queue(unsigned index, std::uint32_t base);
  [[nodiscard]] std::vector<Region> regions() const;
  [[nodiscard]] int memory_fd() const { return memory_fd_.get(); }
  [[nodiscard]] std::size_t memory_size() const { return memory_->size(); }
  [[nodiscard]] VringAddress addresses(unsigned index) const;
  // Waits for an acknowledgement (or the reply, into `reply`); a refusal is an error.
  Status send(RequestType type, std::span<const std::byte> payload, std::span<const int> fds = {});
  Status send_table(std::span<const Region> regions, std::span<const int> fds);
  Status send_state(RequestType type, std::uint32_t index, std::uint32_t value);
  Status fetch_config();  // config() anew
  Status set_log_base(const LogDescription& log, int fd);
  Result<std::uint64_t> ask_u64(RequestType type);
  // Bytes as they are, no answer awaited.
  Status send_raw(std::span<const std::byte> bytes, std::span<const int> fds = {});
  // Waits until the back end has closed the connection. False when it has not in time.
  [[nodiscard]] bool wait_for_hang_up();
  [[nodiscard]] int socket() const { return socket_.get(); }

 private:
  TestFrontEnd(UniqueFd socket, const Options& options);
  Status negotiate();
  Status make_memory();
  Status receive(Message& message);
  Status receive_exactly(std::byte* to, std::size_t size, std::vector<UniqueFd>& fds);
  Status send_u64(RequestType type, std::uint64_t value);
  Status send_fd(RequestType type, unsigned index, int fd);
  BlockStatus range(std::uint32_t type, std::uint64_t offset, std::uint64_t length,
                    std::uint32_t flags);

  UniqueFd socket_;
  Options options_;
  std::uint64_t features_ = 0;
  std::uint64_t protocol_features_ = 0;
  std::uint64_t queue_num_ = 1;
  virtio_blk_config config_{};
  UniqueFd inflight_fd_;
  InflightDescription inflight_;
  UniqueFd memory_fd_;
  std::optional<Mapping> memory_;
  std::vector<std::unique_ptr<DriverQueue>> queues_;
};

}  // namespace fallow::vhost_user
