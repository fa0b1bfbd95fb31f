// A client of a VM's disk: its entries become requests of the BlockDevice, several in flight.
//
// One thread, the one that owns the device.
#pragma once

#include <memory>

#include "base/event_loop.h"
#include "device/block_device.h"
#include "frontend/ring/executor.h"

namespace fallow::ring {

class DiskAttachment final : public Attachment {
 public:
  // Both outlive it.
  DiskAttachment(EventLoop& loop, BlockDevice& device) : loop_(loop), device_(device) {}

  void introduce(Welcome& welcome) const override;
  std::unique_ptr<Executor> make_executor(Regions& regions, Executor::Sink& sink,
                                          std::uint32_t entries) override;

 private:
  EventLoop& loop_;
  BlockDevice& device_;
};

}  // namespace fallow::ring
