#include "frontend/ring/ring_disk.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <future>
#include <set>
#include <thread>

#include "frontend/ring/test_fixtures.h"
#include "frontend/vhost_user/fake_block_device.h"

namespace fallow::ring {
namespace {

constexpr std::uint64_t kDiskBytes = 80 << 20;

// A disk in the heap on a loop of its own, and a client of it.
class RingDiskTest : public RingServerTest {
 protected:
  RingDiskTest() {
    auto loop = EventLoop::create();
    EXPECT_TRUE(loop.ok());
    loop_ = std::move(*loop);
    disk_ = std::make_unique<RingDisk>(*loop_, device_, clock_, Secret{{3, 4}});
    EXPECT_TRUE(loop_->watch(device_.event_fd(), [this] { device_.poll(); }).ok());
    thread_ = std::move(*run_on_thread(*loop_, "disk"));
    node_.host.attach = [this](std::string_view vm, Connection& connection) -> Status {
      if (vm != "vm1") {
        return Error{ErrorCode::kNotFound, "there is no such VM"};
      }
      auto moved = std::make_shared<Connection>(std::move(connection));
      loop_->post([this, moved] { disk_->adopt(std::move(*moved)); });
      return {};
    };
    client_.emplace(connect());
    welcome_ = client_->hello(Attach::kDisk, "vm1");
    EXPECT_TRUE(welcome_.has_value());
    queue_.emplace(*client_->open_queue(16));
    region_ = std::move(*client_->add_region(2 << 20));
  }
  ~RingDiskTest() override {
    device_.release();
    loop_->post([this] { disk_->stop([this] { loop_->stop(); }); });
    thread_.join();
    EXPECT_EQ(device_.in_flight(), 0u);
  }

  [[nodiscard]] Submission entry(Opcode opcode, std::uint64_t offset, std::uint32_t length,
                                 std::uint64_t address = 0) {
    Submission result{};
    result.opcode = opcode;
    result.token = region_.token;
    result.user_data = ++user_data_;
    result.address = address;
    result.length = length;
    result.object = offset;
    return result;
  }
  [[nodiscard]] std::byte* data(std::size_t at = 0) const { return region_.memory.data() + at; }

  SystemClock clock_;
  vhost_user::FakeBlockDevice device_{kDiskBytes, vhost_user::FakeBlockDevice::Completion::kOnPoll};
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<RingDisk> disk_;
  std::thread thread_;
  std::optional<TestClient> client_;
  std::optional<Welcome> welcome_;
  std::optional<TestQueue> queue_;
  TestRegion region_;
  std::uint64_t user_data_ = 0;
};

TEST_F(RingDiskTest, welcome_tellsTheDisk) {
  EXPECT_EQ(welcome_->disk_bytes, kDiskBytes);
  EXPECT_EQ(welcome_->disk_block_bytes, 4096u);
  EXPECT_EQ(welcome_->resumed, 0u);
  TestClient other = connect();
  other.send(TestClient::make_hello(Attach::kDisk, "vm2"));
  const auto refused = other.receive_as<Refused>();
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->error, ENOENT);
}

TEST_F(RingDiskTest, clientThatComesBack_learnsWhetherItIsTheSameDisk) {
  for (const bool same : {true, false}) {
    Hello hello = TestClient::make_hello(Attach::kDisk, "vm1");
    hello.secret = same ? welcome_->secret : Secret{{3, 5}};
    TestClient back = connect();
    back.send(hello);
    const auto welcome = back.receive_as<Welcome>();
    ASSERT_TRUE(welcome.has_value());
    EXPECT_EQ(welcome->resumed, same ? 1u : 0u);
    EXPECT_EQ(welcome->secret, welcome_->secret);
  }
}

TEST_F(RingDiskTest, keep_isRefusedAndGoodbyeHeard) {
  EXPECT_FALSE(client_->keep(60));
  EXPECT_EQ(queue_->run(entry(Opcode::kNop, 0, 0)).result, 0);
  client_->send(make_message<Goodbye>());
  EXPECT_TRUE(client_->closed());
}

TEST_F(RingDiskTest, writeAndRead_bringTheBytesBack) {
  std::memset(data(), 0x5a, 1 << 20);
  EXPECT_EQ(queue_->run(entry(Opcode::kWrite, 8192, 1 << 20)).result, 0);
  EXPECT_EQ(queue_->run(entry(Opcode::kSync, 0, 0)).result, 0);
  EXPECT_EQ(queue_->run(entry(Opcode::kRead, 8192, 1 << 20, 1 << 20)).result, 0);
  EXPECT_EQ(std::memcmp(data(), data(1 << 20), 1 << 20), 0);
  EXPECT_EQ(queue_->run(entry(Opcode::kWriteZeroes, 8192, 4096)).result, 0);
  EXPECT_EQ(queue_->run(entry(Opcode::kRead, 8192, 8192)).result, 0);
  EXPECT_EQ(data()[0], std::byte{0});
  EXPECT_EQ(data()[4096], std::byte{0x5a});
}

TEST_F(RingDiskTest, longDiscard_isDoneInParts) {
  std::memset(data(), 0x5a, 4096);
  ASSERT_EQ(queue_->run(entry(Opcode::kWrite, kDiskBytes - 4096, 4096)).result, 0);
  EXPECT_EQ(queue_->run(entry(Opcode::kDiscard, 0, kDiskBytes)).result, 0);
  ASSERT_EQ(queue_->run(entry(Opcode::kRead, kDiskBytes - 4096, 4096)).result, 0);
  EXPECT_EQ(data()[0], std::byte{0});
}

TEST_F(RingDiskTest, extent_isWithinWhatWasAskedFor) {
  const Completion done = queue_->run(entry(Opcode::kExtent, 4096, 40960));
  EXPECT_EQ(done.result, 0);
  EXPECT_EQ(done.value, 10u);
  EXPECT_EQ(queue_->run(entry(Opcode::kExtent, 512, 4096)).result, -EINVAL);
}

TEST_F(RingDiskTest, manyInFlight_areAllAnswered) {
  device_.hold();
  for (std::uint32_t i = 0; i < 16; ++i) {
    queue_->submit(entry(Opcode::kWrite, i * 4096, 4096));
  }
  EXPECT_TRUE(eventually([&] { return device_.in_flight() == 16; }));
  EXPECT_FALSE(queue_->poll().has_value());
  device_.release();
  for (int i = 0; i < 16; ++i) {
    const auto done = queue_->wait();
    ASSERT_TRUE(done.has_value());
    EXPECT_EQ(done->result, 0);
  }
}

TEST_F(RingDiskTest, failingDevice_isAnErrorOfTheEntry) {
  device_.set_failing(true);
  EXPECT_EQ(queue_->run(entry(Opcode::kWrite, 0, 4096)).result, -EIO);
  EXPECT_EQ(queue_->run(entry(Opcode::kDiscard, 0, kDiskBytes)).result, -EIO);
  device_.set_failing(false);
  EXPECT_EQ(queue_->run(entry(Opcode::kWrite, 0, 4096)).result, 0);
}

TEST_F(RingDiskTest, wrongEntries_areAnsweredAsWrong) {
  const auto result = [&](Opcode opcode, std::uint64_t offset, std::uint32_t length,
                          std::uint64_t address = 0) {
    return queue_->run(entry(opcode, offset, length, address)).result;
  };
  EXPECT_EQ(result(Opcode::kRead, 0, 0), -EINVAL);
  EXPECT_EQ(result(Opcode::kRead, 0, 512), -EINVAL);
  EXPECT_EQ(result(Opcode::kRead, 512, 4096), -EINVAL);
  EXPECT_EQ(result(Opcode::kRead, kDiskBytes, 4096), -EINVAL);
  EXPECT_EQ(result(Opcode::kRead, UINT64_MAX - 4095, 4096), -EINVAL);
  EXPECT_EQ(result(Opcode::kRead, 0, (1 << 20) + 4096), -EINVAL);
  EXPECT_EQ(result(Opcode::kRead, 0, 4096, (2 << 20) - 4095), -EFAULT);
  EXPECT_EQ(result(Opcode::kDiscard, 0, 0), -EINVAL);
  EXPECT_EQ(result(Opcode::kDiscard, 4096, kDiskBytes), -EINVAL);
  EXPECT_EQ(result(Opcode::kPut, 0, 4096), -EINVAL);
  EXPECT_EQ(result(Opcode::kOpenPool, 0, 0), -EINVAL);
}

TEST_F(RingDiskTest, unregister_waitsForWhatIsInFlight) {
  device_.hold();
  queue_->submit(entry(Opcode::kWrite, 0, 4096));
  EXPECT_TRUE(eventually([&] { return device_.in_flight() == 1; }));
  auto message = make_message<Unregister>();
  message.token = region_.token;
  client_->send(message);
  // Other memory can be used meanwhile, this one not.
  EXPECT_TRUE(eventually([&] {
    queue_->submit(entry(Opcode::kWrite, 4096, 4096));
    const auto done = queue_->poll();
    return done && done->result == -EFAULT;
  }));
  device_.release();
  EXPECT_TRUE(client_->receive_as<Done>().has_value());
}

TEST_F(RingDiskTest, closeQueue_waitsForWhatIsInFlight) {
  device_.hold();
  queue_->submit(entry(Opcode::kRead, 0, 4096));
  EXPECT_TRUE(eventually([&] { return device_.in_flight() == 1; }));
  auto message = make_message<CloseQueue>();
  message.queue = queue_->number();
  client_->send(message);
  device_.release();
  EXPECT_TRUE(client_->receive_as<Done>().has_value());
  EXPECT_EQ(device_.in_flight(), 0u);
}

TEST_F(RingDiskTest, clientThatLeavesWithRequestsInFlight_keepsItsMemoryUntilTheyAreDone) {
  device_.hold();
  for (std::uint32_t i = 0; i < 16; ++i) {
    queue_->submit(entry(Opcode::kRead, i * 4096, 4096, i * 4096));
  }
  EXPECT_TRUE(eventually([&] { return device_.in_flight() == 16; }));
  client_.reset();
  region_ = {};
  EXPECT_EQ(node_.server->statistics().connected, 1u);
  device_.release();
  EXPECT_TRUE(eventually([&] { return node_.server->statistics().connected == 0; }));
}

// The disk and its device go to another thread and back while a client writes, reads and discards.
TEST_F(RingDiskTest, moveToAndFro_losesAndDoublesNothing) {
  const auto other = std::move(*EventLoop::create());
  std::thread beside([&] { other->run(); });
  const auto move = [this](EventLoop& from, EventLoop& to) {
    std::promise<void> moved;
    from.post([&] {
      disk_->leave_loop();
      from.unwatch(device_.event_fd());
      to.post([&] {
        EXPECT_TRUE(to.watch(device_.event_fd(), [this] { device_.poll(); }).ok());
        disk_->join_loop(to);
        moved.set_value();
      });
    });
    moved.get_future().wait();
  };
  std::atomic<bool> enough{false};
  std::thread mover([&] {
    for (int i = 0; i < 200; ++i) {
      move(*loop_, *other);
      move(*other, *loop_);
    }
    enough = true;
  });
  for (unsigned round = 0; round < 20 || !enough; ++round) {
    for (std::uint32_t i = 0; i < 16; ++i) {
      std::memset(data(i * 4096), static_cast<int>(round + i), 4096);
      queue_->submit(entry(Opcode::kWrite, (i * 7 + round) % 64 * 4096, 4096, i * 4096));
    }
    std::set<std::uint64_t> answered;
    for (int i = 0; i < 16; ++i) {
      const auto done = queue_->wait();
      ASSERT_TRUE(done.has_value());
      EXPECT_EQ(done->result, 0);
      EXPECT_TRUE(answered.insert(done->user_data).second);
    }
    ASSERT_EQ(queue_->run(entry(Opcode::kRead, (14 + round) % 64 * 4096, 4096, 1 << 20)).result, 0);
    EXPECT_EQ(std::memcmp(data(1 << 20), data(2 * 4096), 4096), 0);
    EXPECT_EQ(queue_->run(entry(Opcode::kDiscard, 0, kDiskBytes)).result, 0);
  }
  mover.join();
  other->stop();
  beside.join();
}

TEST_F(RingDiskTest, clientThatCutsItsMemoryInFlight_isCutOff) {
  device_.hold();
  queue_->submit(entry(Opcode::kWrite, 0, 8192));
  EXPECT_TRUE(eventually([&] { return device_.in_flight() == 1; }));
  ASSERT_EQ(::ftruncate(region_.file.get(), 4096), 0);
  device_.release();
  EXPECT_TRUE(client_->closed());
  EXPECT_TRUE(eventually([&] { return node_.server->statistics().connected == 0; }));
  EXPECT_EQ(node_.server->statistics().cut_off, 1u);
  EXPECT_FALSE(queue_->poll().has_value());  // nothing is acknowledged
}

}  // namespace
}  // namespace fallow::ring
