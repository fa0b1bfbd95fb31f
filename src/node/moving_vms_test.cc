// VMs that share workers, and are moved from one to another while their guests are at work.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/temp_dir.h"
#include "frontend/ring/test_client.h"
#include "frontend/vhost_user/verifying_disk.h"
#include "node/node.h"

namespace fallow::node {
namespace {

using vhost_user::VerifyingDisk;

constexpr std::uint64_t kVmBytes = 4 << 20;
constexpr std::uint64_t kVmPages = kVmBytes / kPageSize;

// Two workers, and memory for two of three VMs, whose pages are demoted too.
class MovingVms : public testing::Test {
 protected:
  MovingVms() {
    config_.memory_bytes = 8 << 20;
    config_.arena_dir = folder_.path() + "/arena";
    config_.run_dir = folder_.path() + "/run";
    config_.backing_dir = folder_.path() + "/backing";
    config_.ring_socket = config_.run_dir + "/ring.sock";
    config_.policy_spec = "smart-alloc";
    config_.interval_ns = 10'000'000;
    config_.demotion_pages_per_second = 100'000;
    config_.workers = 2;
    ::mkdir(config_.arena_dir.c_str(), 0700);
    auto made = Node::create(config_, clock_);
    EXPECT_TRUE(made.ok()) << made.error().text;
    node_ = *std::move(made);
    EXPECT_TRUE(node_->start().ok());
  }

  std::unique_ptr<VerifyingDisk> add(const std::string& name, unsigned queues = 2) {
    const auto vm = node_->add_vm({name, kVmBytes, "", false});
    EXPECT_TRUE(vm.ok()) << vm.error().text;
    auto disk =
        VerifyingDisk::open({.socket_path = vm->socket_path, .pages = kVmPages, .queues = queues});
    EXPECT_TRUE(disk.ok()) << disk.error().text;
    return *std::move(disk);
  }
  [[nodiscard]] unsigned worker_of(const std::string& name) const {
    return node_->show_vm(name)->worker;
  }
  // False when it takes too long.
  static bool eventually(const std::function<bool()>& condition, int tries = 20'000) {
    for (int i = 0; i < tries; ++i) {
      if (condition()) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  // Gives it some time to arrive. The balancer may take it back before anybody looks.
  void move(const std::string& name) {
    const unsigned before = worker_of(name);
    EXPECT_TRUE(node_->move_vm(name, 1 - before).ok());
    (void)eventually([&] { return worker_of(name) != before; }, 20);
  }

  TempDir folder_{"/dev/shm"};
  Config config_;
  SystemClock clock_;
  std::unique_ptr<Node> node_;
};

// Runs a load on a thread of its own until it goes out of scope.
class Load {
 public:
  explicit Load(VerifyingDisk& disk)
      : disk_(disk), thread_([this] { outcome_ = disk_.run_until(enough_); }) {}
  ~Load() {
    enough_ = true;
    thread_.join();
    EXPECT_TRUE(outcome_.ok()) << outcome_.error().text;
    const Status verified = disk_.verify_all();
    EXPECT_TRUE(verified.ok()) << verified.error().text;
    EXPECT_EQ(disk_.reconnections(), 0u);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

 private:
  VerifyingDisk& disk_;
  std::atomic<bool> enough_{false};
  Status outcome_;
  std::thread thread_;
};

TEST_F(MovingVms, newVms_goWhereTheFewestAre) {
  for (const char* name : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(node_->add_vm({name, kVmBytes, "", false}).ok());
  }
  EXPECT_EQ(worker_of("a"), worker_of("c"));
  EXPECT_EQ(worker_of("b"), worker_of("d"));
  EXPECT_NE(worker_of("a"), worker_of("b"));
  EXPECT_EQ(node_->status().workers, 2u);
}

TEST_F(MovingVms, move_ofNoVmOrToNoWorker_refused) {
  ASSERT_TRUE(node_->add_vm({"a", kVmBytes, "", false}).ok());
  EXPECT_EQ(node_->move_vm("b", 0).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(node_->move_vm("a", 2).error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(node_->move_vm("a", 0).ok());
}

TEST_F(MovingVms, toAndFroUnderLoad_loseNothing) {
  const auto a = add("a");
  const auto b = add("b", 1);
  const auto c = add("c", 3);
  const Load loads[] = {Load(*a), Load(*b), Load(*c)};
  for (unsigned round = 0; round < 200; ++round) {
    for (const char* name : {"a", "b", "c"}) {
      move(name);
    }
    if (round % 60 == 5) {
      const auto grown = node_->resize_vm("b", kVmBytes * (2 + round / 60));
      EXPECT_TRUE(grown.ok()) << grown.error().text;
    }
  }
}

TEST_F(MovingVms, resizedAndRemovedInTheMiddleOfAMove_areServedByTheNextWorker) {
  const auto stays = add("stays");
  const Load load(*stays);
  for (unsigned round = 0; round < 30; ++round) {
    const auto goes = add("goes");
    ASSERT_TRUE(goes->run(200).ok());
    for (std::uint64_t size = 2; size < 6; ++size) {
      EXPECT_TRUE(node_->move_vm("goes", size % 2).ok());
      EXPECT_TRUE(node_->move_vm("stays", size % 2).ok());
      EXPECT_EQ(node_->resize_vm("goes", size * kVmBytes)->size_bytes, size * kVmBytes);
    }
    EXPECT_TRUE(node_->move_vm("goes", round % 2).ok());
    EXPECT_TRUE(node_->remove_vm("goes", RemoveMode::kForce).ok());
  }
}

TEST_F(MovingVms, restartInTheMiddleOfMoves_losesNothing) {
  const auto disk = add("a");
  const std::string socket = node_->show_vm("a")->socket_path;
  std::atomic<bool> enough{false};
  Status outcome;
  std::thread load([&] { outcome = disk->run_until(enough); });
  for (unsigned round = 0; round < 5; ++round) {
    for (unsigned i = 0; i < 10; ++i) {
      move("a");
    }
    EXPECT_TRUE(node_->move_vm("a", 1 - worker_of("a")).ok());
    node_.reset();
    node_ = std::move(*Node::create(config_, clock_));
    ASSERT_TRUE(node_->start().ok());
  }
  enough = true;
  load.join();
  EXPECT_TRUE(outcome.ok()) << outcome.error().text;
  EXPECT_TRUE(disk->verify_all().ok());
}

// A client process uses the disk over a ring, and stays when the disk moves.
TEST_F(MovingVms, clientProcessOfTheDisk_movesAlong) {
  ASSERT_TRUE(node_->add_vm({"a", kVmBytes, "", false}).ok());
  auto client = ring::TestClient::connect(config_.ring_socket);
  ASSERT_TRUE(client.ok()) << client.error().text;
  ASSERT_TRUE(client->hello(ring::Attach::kDisk, "a").has_value());
  auto queue = *client->open_queue(16);
  const auto region = *client->add_region(1 << 20);
  std::byte* data = region.memory.data();
  const auto run = [&](ring::Opcode opcode, std::uint64_t page, std::uint64_t address) {
    ring::Submission entry{};
    entry.opcode = opcode;
    entry.token = region.token;
    entry.address = address;
    entry.length = kPageSize;
    entry.object = page * kPageSize;
    return queue.run(entry).result;
  };
  std::atomic<bool> enough{false};
  std::thread mover([&] {
    for (unsigned i = 0; i < 200; ++i) {
      move("a");
    }
    enough = true;
  });
  for (std::uint64_t i = 0; !enough; ++i) {
    std::memset(data, static_cast<int>(i), kPageSize);
    EXPECT_EQ(run(ring::Opcode::kWrite, i % kVmPages, 0), 0);
    EXPECT_EQ(run(ring::Opcode::kRead, i % kVmPages, kPageSize), 0);
    EXPECT_EQ(std::memcmp(data, data + kPageSize, kPageSize), 0);
  }
  mover.join();
  EXPECT_TRUE(node_->move_vm("a", 1 - worker_of("a")).ok());
  EXPECT_TRUE(node_->remove_vm("a", RemoveMode::kIfIdle).ok());
  EXPECT_TRUE(client->closed());
}

TEST_F(MovingVms, twoBusyVmsOnOneWorker_arePartedByTheNode) {
  const auto a = add("a");
  ASSERT_TRUE(node_->add_vm({"idle", kVmBytes, "", false}).ok());
  const auto b = add("b");
  ASSERT_EQ(worker_of("a"), worker_of("b"));
  const Load loads[] = {Load(*a), Load(*b)};
  EXPECT_TRUE(eventually([&] { return worker_of("a") != worker_of("b"); }));
}

}  // namespace
}  // namespace fallow::node
