// A backing store at the speed of another disk (base/disk_speed.h): operations are carried out at
// once by the store below, and told to be done when such a disk would be done with them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/disk_speed.h"
#include "base/file.h"
#include "base/result.h"
#include "device/backing_store.h"

namespace fallow {

class EmulatedDisk final : public BackingStore {
 public:
  // `clock` outlives it.
  static Result<std::unique_ptr<EmulatedDisk>> create(std::unique_ptr<BackingStore> below,
                                                      const DiskSpeed& speed, const Clock& clock);

  void submit(BackingIo* io) override;
  Status grow(std::uint64_t size_bytes) override { return below_->grow(size_bytes); }
  [[nodiscard]] int event_fd() const override { return events_.get(); }
  void poll() override;
  void wait() override;

 private:
  // What the store below has in place of the caller's operation.
  struct Held : BackingIo {
    EmulatedDisk* disk = nullptr;
    BackingIo* whose = nullptr;
    std::uint64_t due_ns = 0;
    int error = 0;
  };

  EmulatedDisk(const DiskSpeed& speed, const Clock& clock) : clock_(clock), model_(speed) {}
  Status start();
  Status watch(int fd) const;
  static void on_done(BackingIo* io, int error);
  std::uint64_t due_ns(const BackingIo& io);
  [[nodiscard]] std::uint64_t earliest_ns() const;
  void hand_out();
  void set_timer() const;

  const Clock& clock_;
  DiskModel model_;
  std::uint64_t last_due_ns_ = 0;
  std::array<Held, kDepthMax> all_;
  std::vector<Held*> free_;
  std::vector<Held*> ended_;  // below, and not told yet
  UniqueFd timer_;
  UniqueFd events_;  // of the timer and the store below
  std::unique_ptr<BackingStore> below_;
};

}  // namespace fallow
