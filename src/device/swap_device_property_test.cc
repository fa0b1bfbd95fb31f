// The device against a model that knows, for every sector, which value a read may return: random
// requests of random sizes, up to sixteen at once, completions in any order, targets that change,
// demotion all the while, and in some of the runs a backing store that fails, or a daemon that is
// killed every now and then: what it had in shared memory and in the backing store at that moment
// is all that the next life has.

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "base/temp_dir.h"
#include "device/fake_backing_store.h"
#include "device/swap_device.h"

namespace fallow {
namespace {

constexpr std::uint64_t kPages = 96;
constexpr std::uint64_t kSectors = kPages * 8;
constexpr std::uint64_t kFrames = 48;
constexpr std::size_t kRequestsMax = 16;
constexpr int kSteps = 700'000;

struct Parameters {
  std::uint64_t seed;
  unsigned failures_per_thousand;
  unsigned steps_between_kills = 0;  // 0: never
};

// What a sector's 64 words are made of: zero for a hole.
using Value = std::uint64_t;

// The values that a read may return; a write that failed leaves two, and reads may fail there too.
struct Sector {
  std::set<Value> values{0};
  bool may_fail = false;
  bool in_use = false;  // by a request under way
};

struct Operation : IoRequest {
  std::vector<std::byte> data;
  std::vector<iovec> pieces;
  Value value = 0;
  bool finished = false;
  IoStatus status = IoStatus::kOk;
};

class DeviceModelTest : public testing::TestWithParam<Parameters> {
 protected:
  void SetUp() override {
    life_->open();
    client_ = *life_->store->add_client("vm");
    life_->device = std::move(*SwapDevice::create(*life_->store, client_, clock_, make_backing(),
                                                  life_->device_options()));
    sectors_.resize(kSectors);
  }

  // What one life of the daemon has.
  struct Life {
    explicit Life(const Clock& daemon_clock) : clock(daemon_clock) {}

    void open() {
      arena.emplace(std::move(*memory::Arena::open(
          {.directory = dir->path(), .name = "t", .bytes = kFrames * kPageSize})));
      store = std::move(*tmem::Store::create(*arena, clock));
    }
    [[nodiscard]] DeviceOptions device_options() const {
      return {.size_bytes = kPages * kPageSize,
              .demotion_pages_per_second = 2000,
              .map_path = dir->path() + "/t.disk"};
    }

    const Clock& clock;
    std::unique_ptr<TempDir> dir = std::make_unique<TempDir>("/dev/shm");
    std::optional<memory::Arena> arena;
    std::unique_ptr<tmem::Store> store;
    std::unique_ptr<SwapDevice> device;  // the first to go
  };

  std::unique_ptr<FakeBackingStore> make_backing() {
    auto backing = std::make_unique<FakeBackingStore>(kPages * kPageSize, GetParam().seed);
    backing_ = backing.get();
    backing_->fails = [this](const BackingIo&) {
      return random_() % 1000 < GetParam().failures_per_thousand;
    };
    return backing;
  }

  // The next life starts on copies of what this one has shared with the world so far; this one then
  // completes what it had under way, and nobody hears of it.
  void kill_and_recover() {
    auto next = std::make_unique<Life>(clock_);
    std::filesystem::copy(life_->dir->path(), next->dir->path(),
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
    FakeBackingStore* old_backing = backing_;
    std::vector<std::byte> bytes(old_backing->bytes(), old_backing->bytes() + kPages * kPageSize);
    next->open();
    auto backing = make_backing();
    std::copy(bytes.begin(), bytes.end(), backing->bytes());
    auto map = LocationMap::open(next->device_options().map_path);
    ASSERT_TRUE(map.ok()) << map.error().text;
    auto device = SwapDevice::recover(*next->store, client_, clock_, std::move(backing),
                                      next->device_options(), std::move(*map));
    ASSERT_TRUE(device.ok()) << device.error().text;
    next->device = std::move(*device);
    while (life_->device->in_flight() > 0) {
      life_->device->poll();
    }
    life_->device.reset();
    for (const auto& operation : operations_) {
      forget(*operation);
    }
    operations_.clear();
    life_ = std::move(next);
  }

  // An operation that was under way at the kill: it may have happened, or not, or the pages that it
  // changed are lost.
  void forget(const Operation& operation) {
    const std::uint64_t first = operation.offset / kSectorSize;
    const std::uint64_t end = first + operation.length / kSectorSize;
    for (std::uint64_t i = first; i < end; ++i) {
      sectors_[i].in_use = false;
    }
    if (operation.op == IoOp::kRead) {
      return;
    }
    for (std::uint64_t i = first; i < end; ++i) {
      sectors_[i].values.insert(operation.op == IoOp::kWrite ? operation.value : 0);
    }
    for (std::uint64_t i = first / 8 * 8; i < (end + 7) / 8 * 8; ++i) {
      sectors_[i].may_fail = true;
    }
  }

  [[nodiscard]] bool may_fail(const Operation& operation) const {
    const std::uint64_t first = operation.offset / kSectorSize;
    const std::uint64_t end = first + operation.length / kSectorSize;
    bool may = GetParam().failures_per_thousand > 0;
    for (std::uint64_t i = first; i < end; ++i) {
      may = may || sectors_[i].may_fail;
    }
    return may;
  }

  bool claim(std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t i = first; i < first + count; ++i) {
      if (sectors_[i].in_use) {
        return false;
      }
    }
    for (std::uint64_t i = first; i < first + count; ++i) {
      sectors_[i].in_use = true;
    }
    return true;
  }

  // In half of the cases whole pages, as guests mostly do.
  std::pair<std::uint64_t, std::uint64_t> pick_range() {
    if (random_() % 2 == 0) {
      const std::uint64_t first = random_() % kPages;
      return {first * 8, (1 + random_() % std::min<std::uint64_t>(20, kPages - first)) * 8};
    }
    const std::uint64_t first = random_() % kSectors;
    return {first, 1 + random_() % std::min<std::uint64_t>(40, kSectors - first)};
  }

  void split_into_pieces(Operation* operation) {
    std::size_t at = 0;
    while (at < operation->data.size()) {
      const std::size_t left = operation->data.size() - at;
      const std::size_t bytes = random_() % 3 == 0 ? left : std::min(left, 1 + random_() % 6000);
      operation->pieces.push_back({operation->data.data() + at, bytes});
      at += bytes;
    }
    operation->segments = operation->pieces;
  }

  static void fill_sector(std::byte* to, std::uint64_t sector, Value value) {
    for (std::size_t word = 0; word < 64; ++word) {
      const std::uint64_t bits = value == 0       ? 0
                                 : value % 5 == 0 ? value
                                                  : value * 1000 + sector + word;
      std::memcpy(to + word * 8, &bits, 8);
    }
  }

  void submit_one() {
    const auto [first, count] = pick_range();
    if (operations_.size() >= kRequestsMax || !claim(first, count)) {
      return;
    }
    static constexpr IoOp kOps[] = {IoOp::kRead,  IoOp::kRead,    IoOp::kRead,
                                    IoOp::kWrite, IoOp::kWrite,   IoOp::kWrite,
                                    IoOp::kWrite, IoOp::kDiscard, IoOp::kWriteZeroes};
    auto operation = std::make_unique<Operation>();
    operation->op = kOps[random_() % std::size(kOps)];
    operation->offset = first * kSectorSize;
    operation->length = count * kSectorSize;
    operation->value = ++last_value_;
    if (operation->op == IoOp::kRead || operation->op == IoOp::kWrite) {
      operation->data.resize(operation->length, std::byte{0xaa});
      for (std::uint64_t i = 0; operation->op == IoOp::kWrite && i < count; ++i) {
        fill_sector(operation->data.data() + i * kSectorSize, first + i, operation->value);
      }
      split_into_pieces(operation.get());
    }
    operation->done = [](IoRequest* request, IoStatus status) {
      auto* done = static_cast<Operation*>(request);
      ASSERT_FALSE(done->finished);
      done->finished = true;
      done->status = status;
    };
    life_->device->submit(operation.get());
    operations_.push_back(std::move(operation));
  }

  void check_read(const Operation& operation) {
    const std::uint64_t first = operation.offset / kSectorSize;
    const std::uint64_t count = operation.length / kSectorSize;
    if (operation.status != IoStatus::kOk) {
      ASSERT_TRUE(may_fail(operation));
      return;
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      bool known = false;
      for (const Value value : sectors_[first + i].values) {
        std::byte expected[kSectorSize];
        fill_sector(expected, first + i, value);
        known = known ||
                std::memcmp(expected, operation.data.data() + i * kSectorSize, kSectorSize) == 0;
      }
      ASSERT_TRUE(known) << "sector " << first + i;
    }
  }

  void apply(const Operation& operation) {
    const bool failed = operation.status != IoStatus::kOk;
    ASSERT_TRUE(!failed || may_fail(operation));
    const std::uint64_t first = operation.offset / kSectorSize;
    const std::uint64_t end = first + operation.length / kSectorSize;
    for (std::uint64_t i = first; i < end; ++i) {
      const bool whole_page = i / 8 * 8 >= first && i / 8 * 8 + 8 <= end;
      if (operation.op == IoOp::kDiscard && !whole_page) {
        continue;  // parts of pages are left alone
      }
      const Value value = operation.op == IoOp::kWrite ? operation.value : 0;
      if (!failed) {
        sectors_[i].values.clear();
        sectors_[i].may_fail = sectors_[i].may_fail && !whole_page;
      }
      sectors_[i].values.insert(value);
    }
  }

  void reap() {
    for (std::size_t i = 0; i < operations_.size();) {
      if (!operations_[i]->finished) {
        ++i;
        continue;
      }
      const Operation& operation = *operations_[i];
      if (operation.op == IoOp::kRead) {
        check_read(operation);
      } else {
        apply(operation);
      }
      for (std::uint64_t s = 0; s < operation.length / kSectorSize; ++s) {
        sectors_[operation.offset / kSectorSize + s].in_use = false;
      }
      operations_[i] = std::move(operations_.back());
      operations_.pop_back();
    }
  }

  void step() {
    switch (random_() % 12) {
      case 0:
        clock_.advance_ns(random_() % 20'000'000);
        life_->device->demote();
        break;
      case 1:
        if (random_() % 50 == 0) {
          life_->store->set_target(client_, random_() % 4 == 0 ? 0 : random_() % (kFrames + 10));
        }
        break;
      case 2:
      case 3:
      case 4:
      case 5:
        backing_->completions_per_poll = 1 + random_() % 8;
        life_->device->poll();
        break;
      default:
        submit_one();
    }
    reap();
  }

  ManualClock clock_;
  ClientId client_;
  FakeBackingStore* backing_ = nullptr;
  std::unique_ptr<Life> life_ = std::make_unique<Life>(clock_);
  std::vector<Sector> sectors_;
  std::vector<std::unique_ptr<Operation>> operations_;
  std::mt19937_64 random_{GetParam().seed};
  Value last_value_ = 0;
};

TEST_P(DeviceModelTest, randomRequests_agreeWithTheModel) {
  for (int i = 0; i < kSteps; ++i) {
    ASSERT_NO_FATAL_FAILURE(step()) << "step " << i;
    const unsigned kills = GetParam().steps_between_kills;
    if (kills != 0 && random_() % kills == 0) {
      ASSERT_NO_FATAL_FAILURE(kill_and_recover()) << "step " << i;
    }
  }
  while (life_->device->in_flight() > 0) {
    life_->device->poll();
    ASSERT_NO_FATAL_FAILURE(reap());
  }
  if (GetParam().steps_between_kills != 0) {
    return;  // the figures are of the last life only
  }
  const DeviceStatistics statistics = life_->device->statistics();
  EXPECT_GT(statistics.memory_writes, 0u);
  EXPECT_GT(statistics.backing_writes, 0u);
  EXPECT_GT(statistics.demotions, 0u);
  EXPECT_GT(statistics.backing_reads, 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DeviceModelTest,
                         testing::Values(Parameters{1, 0}, Parameters{2, 0}, Parameters{3, 20},
                                         Parameters{4, 0, 2000}, Parameters{5, 5, 1000}));

}  // namespace
}  // namespace fallow
