// The disk of a VM as the plugin's threads use it: one client of the daemon's, and queues that go
// from request to request.
//
// A queue serves one request at a time, and the one used last is taken first: few are awake at the
// daemon, however many threads nbdkit has. Any thread.
#pragma once

#include <fallow/fallow.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace fallow::nbdkit {

class Disk {
 public:
  // 0 and `made`, or a negative errno value with fallow_error() for the text.
  static int attach(const std::string& vm, const std::string& socket, std::unique_ptr<Disk>& made);
  ~Disk() { fallow_close(client_); }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  [[nodiscard]] std::uint64_t size() const { return fallow_disk_size(client_); }
  [[nodiscard]] std::uint32_t block_size() const { return fallow_disk_block_size(client_); }

  // Returns work(queue), or a negative errno value when there is no queue.
  template <typename Work>
  int with_queue(Work work) {
    fallow_queue* queue = nullptr;
    if (const int error = borrow(queue); error != 0) {
      return error;
    }
    const int result = work(queue);
    give_back(queue);
    return result;
  }

 private:
  // More requests than this wait for one another.
  static constexpr unsigned kQueuesMax = 32;

  explicit Disk(fallow_client* client) : client_(client) {}
  int borrow(fallow_queue*& queue);
  void give_back(fallow_queue* queue);

  fallow_client* const client_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<fallow_queue*> idle_;  // guarded by mutex_, as is all below
  unsigned open_ = 0;
  unsigned waiting_ = 0;
};

}  // namespace fallow::nbdkit
