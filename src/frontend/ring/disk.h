// A client of a VM's disk: its entries become requests of the BlockDevice, several in flight.
//
// One thread, the one that owns the device.
#pragma once

#include <memory>

#include "device/block_device.h"
#include "frontend/ring/executor.h"
#include "frontend/ring/loop_seat.h"

namespace fallow::ring {

class DiskAttachment final : public Attachment {
 public:
  // `identity` is the disk's own, as RingDisk has it; `said` what the client remembers of one. Seat
  // and device outlive it.
  DiskAttachment(LoopSeat& seat, BlockDevice& device, const Secret& identity, const Secret& said)
      : seat_(seat), device_(device), identity_(identity), said_(said) {}

  void introduce(Welcome& welcome) const override;
  Status keep(std::uint32_t seconds) override;
  std::unique_ptr<Executor> make_executor(Regions& regions, Executor::Sink& sink,
                                          std::uint32_t entries) override;

 private:
  LoopSeat& seat_;
  BlockDevice& device_;
  const Secret identity_;
  const Secret said_;
};

}  // namespace fallow::ring
