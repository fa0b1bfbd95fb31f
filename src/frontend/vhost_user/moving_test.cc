// An export that is moved between two threads while its guest is running.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <future>
#include <thread>

#include "base/check.h"
#include "base/temp_dir.h"
#include "frontend/vhost_user/fake_block_device.h"
#include "frontend/vhost_user/verifying_disk.h"
#include "frontend/vhost_user/vhost_user_blk.h"

namespace fallow::vhost_user {
namespace {

class TwoWorkers : public testing::Test {
 protected:
  TwoWorkers() {
    for (unsigned i = 0; i < 2; ++i) {
      loops_[i] = std::move(*EventLoop::create());
    }
    ExportOptions options;
    options.name = "moving";
    options.socket_path = path();
    export_ = std::move(*VhostUserBlk::create(*loops_[0], device_, options));
    for (unsigned i = 0; i < 2; ++i) {
      threads_[i] = std::thread([this, i] { loops_[i]->run(); });
    }
  }
  ~TwoWorkers() override {
    std::promise<void> stopped;
    loops_[home_]->post([&] {
      export_->stop([&] {
        export_.reset();
        stopped.set_value();
      });
    });
    stopped.get_future().wait();
    for (unsigned i = 0; i < 2; ++i) {
      loops_[i]->stop();
      threads_[i].join();
    }
  }

  // Any one thread at a time.
  void move() {
    const unsigned next = 1 - home_;
    std::promise<std::thread::id> moved;
    loops_[home_]->post([&] {
      export_->move_to(*loops_[next], [&] { moved.set_value(std::this_thread::get_id()); });
    });
    EXPECT_EQ(moved.get_future().get(), threads_[next].get_id());
    home_ = next;
  }
  void let_the_loop_turn(unsigned times) {
    for (unsigned i = 0; i < times; ++i) {
      std::promise<void> turned;
      loops_[home_]->post([&] { turned.set_value(); });
      turned.get_future().wait();
    }
  }
  void wait_until(const std::function<bool()>& condition) {
    while (!condition()) {
      let_the_loop_turn(1);
    }
  }
  [[nodiscard]] std::string path() const { return dir_.path() + "/disk.sock"; }
  [[nodiscard]] std::unique_ptr<TestFrontEnd> connect() const {
    auto front = TestFrontEnd::connect(path(), {});
    EXPECT_TRUE(front.ok()) << front.error().text;
    return front.ok() ? std::move(*front) : nullptr;
  }

  TempDir dir_;
  FakeBlockDevice device_{4 << 20, FakeBlockDevice::Completion::kOutOfOrder};
  std::array<std::unique_ptr<EventLoop>, 2> loops_;
  std::array<std::thread, 2> threads_;
  std::unique_ptr<VhostUserBlk> export_;
  unsigned home_ = 0;
};

TEST_F(TwoWorkers, moveToAndFroUnderLoad_losesAndDoublesNothing) {
  auto disk = VerifyingDisk::open({.socket_path = path(), .pages = 512, .queues = 3});
  ASSERT_TRUE(disk.ok()) << disk.error().text;
  std::atomic<bool> enough{false};
  std::thread mover([&] {
    for (unsigned i = 0; i < 400; ++i) {
      move();
      let_the_loop_turn(i % 4);
    }
    enough.store(true);
  });
  const Status ran = (*disk)->run_until(enough);
  mover.join();
  EXPECT_TRUE(ran.ok()) << ran.error().text;
  const Status verified = (*disk)->verify_all();
  EXPECT_TRUE(verified.ok()) << verified.error().text;
  EXPECT_EQ((*disk)->reconnections(), 0u);
  EXPECT_EQ(export_->statistics().connections, 1u);
}

TEST_F(TwoWorkers, connectionsThatBreakMeanwhile_areServedAnew) {
  auto disk = VerifyingDisk::open({.socket_path = path(), .pages = 256, .queues = 2});
  ASSERT_TRUE(disk.ok()) << disk.error().text;
  std::atomic<bool> enough{false};
  std::thread mover([&] {
    while (!enough.load()) {
      move();
      let_the_loop_turn(2);
    }
  });
  Status ran;
  for (unsigned round = 0; round < 30 && ran; ++round) {
    ran = (*disk)->run(300);
    ::shutdown((*disk)->front_end().socket(), SHUT_RDWR);
  }
  EXPECT_TRUE(ran.ok()) << ran.error().text;
  const Status verified = (*disk)->verify_all();
  enough.store(true);
  mover.join();
  EXPECT_TRUE(verified.ok()) << verified.error().text;
  EXPECT_GE((*disk)->reconnections(), 29u);
}

TEST_F(TwoWorkers, withoutAFrontEnd_isFoundOnTheOtherLoop) {
  move();
  EXPECT_EQ(connect()->flush(), VIRTIO_BLK_S_OK);
}

TEST_F(TwoWorkers, ringThatIsBeingStopped_isAnsweredFromTheOtherLoop) {
  const auto front = connect();
  device_.hold();
  front->queue(0).submit(0, VIRTIO_BLK_T_IN, 0, 4096);
  front->queue(0).kick();
  wait_until([&] { return export_->statistics().in_flight == 1; });
  std::promise<std::uint32_t> base;
  std::thread stopper([&] { base.set_value(front->stop_queue(0).value()); });
  let_the_loop_turn(20);
  move();
  let_the_loop_turn(20);
  device_.release();
  EXPECT_EQ(base.get_future().get(), 1u);
  stopper.join();
}

TEST_F(TwoWorkers, frontEndThatIsLeaving_endsOnTheOtherLoop) {
  auto front = connect();
  device_.hold();
  front->queue(0).submit(0, VIRTIO_BLK_T_IN, 0, 4096);
  front->queue(0).kick();
  wait_until([&] { return export_->statistics().in_flight == 1; });
  front.reset();
  wait_until([&] { return !export_->statistics().connected; });
  move();
  device_.release();
  EXPECT_EQ(connect()->flush(), VIRTIO_BLK_S_OK);
}

}  // namespace
}  // namespace fallow::vhost_user
