// A hostile guest's memory: the input is the memory itself, with a ring of 16 at its start.
//
//   byte 0             bit 0 event index, bit 1 indirect descriptors, bit 2 serve twice
//   then guest memory  from address 0: descriptors, available ring (at 256), anything
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "checking_device.h"
#include "frontend/vhost_user/block_queue.h"

namespace fallow::fuzz {
namespace {

using vhost_user::BlockQueue;
using vhost_user::GuestMemory;
using vhost_user::Region;

constexpr std::size_t kMemory = 64 * 1024;
constexpr std::uint64_t kUser = 0x10000;
constexpr std::size_t kInputMax = 48 * 1024;
constexpr std::uint64_t kAvailable = 256;
constexpr std::uint64_t kUsed = kMemory - 4096;

GuestMemory make_memory() {
  std::vector<UniqueFd> fds;
  fds.emplace_back(::memfd_create("fuzz", MFD_CLOEXEC));
  CHECK(::ftruncate(fds[0].get(), kMemory) == 0);
  fds.emplace_back(::dup(fds[0].get()));
  // Two regions, so that ranges cross from one to the other.
  const Region regions[] = {{0, kMemory / 2, kUser, 0},
                            {kMemory / 2, kMemory / 2, kUser + kMemory / 2, kMemory / 2}};
  auto memory = GuestMemory::map(regions, fds);
  CHECK(memory.ok());
  return std::move(*memory);
}

class Owner final : public BlockQueue::Owner {
  void request_done() override {}
};

struct Fixture {
  CheckingDevice device{1 << 20};
  vhost_user::DeviceShape shape = vhost_user::make_shape(device, 1, "fuzz");
  GuestMemory memory = make_memory();
  vhost_user::Chain scratch;
  vhost_user::ExportCounters counters;
  vhost_user::DirtyLog log;
  bool logs_data = false;
  Owner owner;
};

void fill(const GuestMemory& memory, const std::uint8_t* data, std::size_t size) {
  std::uint64_t address = 0;
  while (address < kMemory) {
    const auto run = memory.guest_run(address, kMemory);
    std::memset(run.data(), 0, run.size());
    const std::size_t left = address < size ? std::min(size - address, run.size()) : 0;
    if (left > 0) {
      std::memcpy(run.data(), data + address, left);
    }
    address += run.size();
  }
}

}  // namespace
}  // namespace fallow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fallow;
  using namespace fallow::fuzz;
  static Fixture fixture;
  if (size == 0) {
    return 0;
  }
  const std::uint8_t options = data[0];
  fill(fixture.memory, data + 1, std::min(size - 1, kInputMax));
  vhost_user::Virtqueue::Settings settings;
  settings.size = 16;
  settings.addresses = {0, 0, kUser, kUser + kUsed, kUser + kAvailable, 0};
  settings.event_index = (options & 1) != 0;
  settings.indirect = (options & 2) != 0;
  auto ring = vhost_user::Virtqueue::map(fixture.memory, settings);
  CHECK(ring.ok());
  BlockQueue queue(std::move(*ring),
                   {fixture.device, fixture.shape, fixture.memory, fixture.scratch,
                    fixture.counters, fixture.log, fixture.logs_data, fixture.owner});
  for (int i = 0; i < ((options & 4) != 0 ? 2 : 1); ++i) {
    queue.serve(64, -1);
    fixture.device.poll();
    queue.flush(-1);
  }
  CHECK(queue.in_flight() == 0);
  return 0;
}
