#include "frontend/vhost_user/virtqueue.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/vhost_user/driver_queue.h"
#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {
namespace {

// A driver and a device on one thread, over the same memory mapped twice.
class Pair {
 public:
  explicit Pair(DriverQueue::Options options, std::uint16_t base = 0) : options_(options) {
    const std::size_t size = DriverQueue::bytes_needed(options);
    UniqueFd file(::memfd_create("ring", MFD_CLOEXEC));
    EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
    mapping_ = std::move(*Mapping::map_shared(file.get(), 0, size));
    std::vector<UniqueFd> fds;
    fds.push_back(std::move(file));
    const Region region{0, size, kUser, 0};
    memory = std::move(*GuestMemory::map({&region, 1}, fds));
    driver = std::make_unique<DriverQueue>(std::span(mapping_.data(), size), 0, options);
    driver->set_available(base);
    auto made = Virtqueue::map(memory, settings(base));
    EXPECT_TRUE(made.ok());
    device = std::make_unique<Virtqueue>(std::move(*made));
  }
  [[nodiscard]] Virtqueue::Settings settings(std::uint16_t base) const {
    Virtqueue::Settings result;
    result.size = options_.size;
    result.addresses = {
        0, 0, kUser, kUser + driver->used_offset(), kUser + driver->available_offset(), 0};
    result.base = base;
    result.event_index = options_.event_index;
    result.indirect = options_.indirect;
    return result;
  }
  Virtqueue::Take take() { return device->take(memory, chain); }

  GuestMemory memory;
  std::unique_ptr<DriverQueue> driver;
  std::unique_ptr<Virtqueue> device;
  Chain chain;

 private:
  static constexpr std::uint64_t kUser = 0x10000;
  DriverQueue::Options options_;
  Mapping mapping_;
};

constexpr DriverQueue::Options kDirect{.size = 8, .indirect = false, .event_index = false};
constexpr DriverQueue::Options kModern{.size = 8, .indirect = true, .event_index = true};

TEST(Virtqueue, checkSize_wantsAPowerOfTwo) {
  for (const std::uint32_t size : {1u, 2u, 128u, 1024u}) {
    EXPECT_TRUE(Virtqueue::check_size(size).ok()) << size;
  }
  for (const std::uint32_t size : {0u, 3u, 1023u, 2048u, 65536u, UINT32_MAX}) {
    EXPECT_FALSE(Virtqueue::check_size(size).ok()) << size;
  }
}

TEST(Virtqueue, take_emptyRing_isNone) {
  Pair pair(kDirect);
  EXPECT_EQ(pair.take(), Virtqueue::Take::kNone);
}

TEST(Virtqueue, take_directChain_separatesReadableFromWritable) {
  Pair pair(kDirect);
  pair.driver->submit(1, 0, 0, 4096);
  ASSERT_EQ(pair.take(), Virtqueue::Take::kChain);
  EXPECT_EQ(pair.chain.head(), 3);
  EXPECT_EQ(pair.chain.readable().size(), 1u);
  ASSERT_EQ(pair.chain.writable().size(), 2u);
  EXPECT_EQ(pair.chain.writable()[0].length, 4096u);
  EXPECT_EQ(pair.take(), Virtqueue::Take::kNone);
}

TEST(Virtqueue, take_indirectChain_isTheSame) {
  Pair pair(kModern);
  pair.driver->submit(7, 1, 0, 512);
  ASSERT_EQ(pair.take(), Virtqueue::Take::kChain);
  EXPECT_EQ(pair.chain.head(), 7);
  EXPECT_EQ(pair.chain.readable().size(), 2u);
  EXPECT_EQ(pair.chain.writable().size(), 1u);
}

TEST(Virtqueue, take_indirectThatWasNotNegotiated_breaks) {
  Pair pair(kDirect);
  pair.driver->descriptors()[0] = {0, 32, VRING_DESC_F_INDIRECT, 0};
  pair.driver->post(0);
  EXPECT_EQ(pair.take(), Virtqueue::Take::kBroken);
}

TEST(Virtqueue, take_indirectWithinIndirect_breaks) {
  Pair pair(kModern);
  // The ring's own descriptors serve as the table.
  pair.driver->descriptors()[0] = {0, 32, VRING_DESC_F_INDIRECT, 0};
  pair.driver->post(0);
  EXPECT_EQ(pair.take(), Virtqueue::Take::kBroken);
}

TEST(Virtqueue, take_longestChain_fitsAndOneMoreIsALoop) {
  Pair pair(kDirect);
  for (std::uint16_t i = 0; i < 8; ++i) {
    pair.driver->descriptors()[i] = {0, 1, VRING_DESC_F_NEXT, static_cast<std::uint16_t>(i + 1)};
  }
  pair.driver->descriptors()[7] = {0, 1, 0, 0};
  pair.driver->post(0);
  ASSERT_EQ(pair.take(), Virtqueue::Take::kChain);
  EXPECT_EQ(pair.chain.readable().size(), 8u);
  pair.driver->descriptors()[7] = {0, 1, VRING_DESC_F_NEXT, 0};
  pair.driver->post(0);
  EXPECT_EQ(pair.take(), Virtqueue::Take::kBroken);
}

TEST(Virtqueue, take_fullRing_isServedAndOneMoreBreaks) {
  Pair pair(kModern);
  for (unsigned slot = 0; slot < 8; ++slot) {
    pair.driver->submit(slot, 4, 0, 0);
  }
  for (unsigned slot = 0; slot < 8; ++slot) {
    EXPECT_EQ(pair.take(), Virtqueue::Take::kChain);
  }
  pair.driver->set_available(static_cast<std::uint16_t>(pair.driver->available() + 9));
  EXPECT_EQ(pair.take(), Virtqueue::Take::kBroken);
}

TEST(Virtqueue, indices_wrapAround) {
  for (const auto& options : {kDirect, kModern}) {
    Pair pair(options, 65'530);
    for (int i = 0; i < 20; ++i) {
      pair.driver->submit(0, 4, 0, 0);
      ASSERT_EQ(pair.take(), Virtqueue::Take::kChain);
      pair.device->push(pair.chain.head(), 1);
      pair.device->publish();
      DriverQueue::Completion completion;
      ASSERT_TRUE(pair.driver->poll(completion));
      EXPECT_EQ(completion.slot, 0u);
    }
    EXPECT_EQ(pair.device->next_available(), static_cast<std::uint16_t>(65'550));
  }
}

TEST(Virtqueue, publish_withoutEventIndex_followsTheDriversFlag) {
  Pair pair(kDirect);
  EXPECT_FALSE(pair.device->publish());  // nothing to show
  pair.device->push(0, 1);
  EXPECT_TRUE(pair.device->publish());
  auto* flags = reinterpret_cast<std::uint16_t*>(
      reinterpret_cast<std::byte*>(pair.driver->descriptors()) + pair.driver->available_offset());
  *flags = VRING_AVAIL_F_NO_INTERRUPT;
  pair.device->push(0, 1);
  EXPECT_FALSE(pair.device->publish());
}

TEST(Virtqueue, publish_withEventIndex_notifiesOncePerRequest) {
  Pair pair(kModern);
  pair.device->push(0, 1);
  EXPECT_TRUE(pair.device->publish());  // the driver waits for index 1
  pair.device->push(1, 1);
  EXPECT_FALSE(pair.device->publish());  // it has not asked for more
}

TEST(Virtqueue, enableNotifications_seesWhatCameBefore) {
  for (const auto& options : {kDirect, kModern}) {
    Pair pair(options);
    pair.device->disable_notifications();
    EXPECT_FALSE(pair.device->enable_notifications());
    pair.driver->submit(0, 4, 0, 0);
    EXPECT_TRUE(pair.device->enable_notifications());
  }
}

TEST(Virtqueue, kick_isSuppressedUntilNotificationsAreEnabled) {
  for (const auto& options : {kDirect, kModern}) {
    Pair pair(options);
    const auto kicked = [&] {
      std::uint64_t count = 0;
      return ::read(pair.driver->kick_fd(), &count, sizeof count) == 8;
    };
    EXPECT_FALSE(pair.device->enable_notifications());
    pair.driver->submit(0, 4, 0, 0);
    pair.driver->kick();
    EXPECT_TRUE(kicked());
    pair.device->disable_notifications();
    EXPECT_EQ(pair.take(), Virtqueue::Take::kChain);
    pair.driver->submit(1, 4, 0, 0);
    pair.driver->kick();
    EXPECT_FALSE(kicked());
    EXPECT_EQ(pair.take(), Virtqueue::Take::kChain);
    EXPECT_FALSE(pair.device->enable_notifications());
    pair.device->push(0, 1);
    pair.driver->submit(0, 4, 0, 0);
    pair.driver->kick();
    EXPECT_TRUE(kicked());
  }
}

}  // namespace
}  // namespace fallow::vhost_user
