// Clients that compress beside one that does not, against a model that knows what each key holds:
// whatever is found is right, nothing persistent goes missing, and frames add up, through restarts.
// Which puts are refused is the slabs' affair. Then many threads, each checking its own keys.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "base/temp_dir.h"
#include "memory/page_copy.h"
#include "tmem/store.h"

namespace fallow::tmem {
namespace {

// A page is told by one number: from one repeated word to nothing that compresses.
void make_page(std::uint64_t content, std::byte* page) {
  memory::fill_page(page, content);
  const std::size_t noise = content % 8 == 0 ? 0 : content * 1237 % kPageSize;
  std::uint64_t word = content + 1;
  for (std::size_t at = 0; at + sizeof word <= noise; at += sizeof word) {
    word ^= word << 13;
    word ^= word >> 7;
    word ^= word << 17;
    std::memcpy(page + at, &word, sizeof word);
  }
}

bool is_page(std::uint64_t content, const std::byte* page) {
  alignas(64) std::byte expected[kPageSize];
  make_page(content, expected);
  return std::memcmp(page, expected, kPageSize) == 0;
}

class PackedModelTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  static constexpr std::uint64_t kFrames = 128;

  void SetUp() override {
    open();
    for (std::size_t i = 0; i < 3; ++i) {
      clients_.push_back(*store_->add_client("c" + std::to_string(i)));
      store_->set_target(clients_[i], kFrames / 2);
      for (const PoolKind kind : {PoolKind::kPersistent, PoolKind::kEphemeral}) {
        pools_.push_back(*store_->create_pool(clients_[i], kind));
      }
      if (i > 0) {
        ASSERT_TRUE(store_->set_compression(clients_[i], Compression::kLz4).ok());
      }
    }
  }

  void open() {
    store_.reset();
    arena_.reset();
    // Fewer slots' records than pages that would fit, so that they run out too.
    arena_.emplace(std::move(*memory::Arena::open({.directory = dir_.path(),
                                                   .name = "t",
                                                   .bytes = kFrames * kPageSize,
                                                   .compressed_pages_per_frame = 1})));
    store_ = std::move(*Store::create(*arena_, clock_, {.hash_seed = random_() | 1}));
  }

  PageKey any_key() {
    return {pools_[random_() % pools_.size()], random_() % 3,
            static_cast<std::uint32_t>(random_() % 48)};
  }
  [[nodiscard]] bool ephemeral(const PageKey& key) const {
    return (std::find(pools_.begin(), pools_.end(), key.pool) - pools_.begin()) % 2 == 1;
  }

  void put() {
    const PageKey key = any_key();
    const std::uint64_t content = random_() % 256;
    make_page(content, page_);
    if (store_->put(key, page_) == PutResult::kStored) {
      pages_[key] = content;
    } else {
      pages_.erase(key);
    }
  }

  void check(const PageKey& key) {
    const auto known = pages_.find(key);
    const GetResult result = store_->get(key, page_);
    if (known == pages_.end()) {
      ASSERT_EQ(result, GetResult::kMissing);
    } else if (result == GetResult::kFound) {
      ASSERT_TRUE(is_page(known->second, page_));
    } else {
      ASSERT_EQ(result, GetResult::kMissing);
      ASSERT_TRUE(ephemeral(key));
      pages_.erase(known);
    }
  }

  void flush() {
    const PageKey key = any_key();
    const auto known = pages_.find(key);
    const bool there = store_->flush_page(key);
    ASSERT_EQ(there && known == pages_.end(), false);
    ASSERT_EQ(!there && known != pages_.end() && !ephemeral(key), false);
    pages_.erase(key);
  }

  void demote() {
    std::array<PageKey, 8> keys;
    const std::size_t count = store_->oldest(pools_[random_() % 3 * 2], keys);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(pages_.erase(keys[i]), 1u);
      ASSERT_TRUE(store_->drop_demoted(keys[i]));
    }
  }

  void change_client() {
    const std::size_t i = random_() % 3;
    store_->set_target(clients_[i], random_() % 8 == 0 ? 0 : random_() % (kFrames + 20));
    if (i == 2) {
      const auto compression = random_() % 4 == 0 ? Compression::kOff : Compression::kLz4;
      ASSERT_TRUE(store_->set_compression(clients_[i], compression).ok());
    }
  }

  void check_sums() {
    std::uint64_t used = 0;
    for (const ClientStatistics& one : store_->statistics()) {
      used += one.used;
      ASSERT_LE(one.compressed_bytes, one.used * kPageSize);
      ASSERT_LE(one.compressed_pages * kSlotBytes.front(), one.compressed_bytes);
      most_compressed_ = std::max(most_compressed_, one.compressed_pages);
    }
    ASSERT_EQ(store_->free_frames() + used, kFrames);
  }

  void restart() {
    const auto before = store_->statistics();
    open();
    ASSERT_EQ(store_->recovery().lost + store_->recovery().damaged_records, 0u);
    const auto after = store_->statistics();
    for (std::size_t i = 0; i < before.size(); ++i) {
      ASSERT_EQ(after[i].used, before[i].used);
      ASSERT_EQ(after[i].target, before[i].target);
      ASSERT_EQ(after[i].patterns, before[i].patterns);
      ASSERT_EQ(after[i].compression, before[i].compression);
      ASSERT_EQ(after[i].compressed_pages, before[i].compressed_pages);
      ASSERT_EQ(after[i].compressed_bytes, before[i].compressed_bytes);
    }
    const auto pages = pages_;
    for (const auto& [key, content] : pages) {
      ASSERT_NO_FATAL_FAILURE(check(key));
    }
    check_sums();
  }

  void step() {
    const std::uint64_t choice = random_() % 10'000;
    if (choice < 2) {
      restart();
    } else if (choice < 6'000) {
      put();
    } else if (choice < 8'000) {
      check(any_key());
    } else if (choice < 9'900) {
      flush();
    } else if (choice < 9'920) {
      demote();
    } else if (choice < 9'960) {
      change_client();
    } else {
      check_sums();
    }
  }

  TempDir dir_{"/dev/shm"};
  ManualClock clock_;
  std::mt19937_64 random_{GetParam()};
  std::optional<memory::Arena> arena_;
  std::unique_ptr<Store> store_;
  std::vector<ClientId> clients_;
  std::vector<PoolId> pools_;
  std::map<PageKey, std::uint64_t> pages_;  // ephemeral ones may have gone
  std::uint64_t most_compressed_ = 0;
  alignas(64) std::byte page_[kPageSize];
};

TEST_P(PackedModelTest, randomOperations_agreeWithTheModel) {
  for (int i = 0; i < 300'000; ++i) {
    ASSERT_NO_FATAL_FAILURE(step()) << "step " << i;
  }
  EXPECT_GT(most_compressed_, kFrames / 4);  // it was about compressed pages
  for (const ClientId client : clients_) {
    ASSERT_TRUE(store_->remove_client(client).ok());
  }
  EXPECT_EQ(store_->free_frames(), kFrames);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PackedModelTest, testing::Values(1, 2, 3));

// Each thread owns some keys of pools that all of them share and knows what it last put there;
// targets, evictions and the setting itself change under its feet.
class PackedThreadsTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kFrames = 512;

  void SetUp() override {
    arena_.emplace(std::move(*memory::Arena::open({.directory = dir_.path(),
                                                   .name = "t",
                                                   .bytes = kFrames * kPageSize,
                                                   .compressed_pages_per_frame = 2})));
    store_ = std::move(*Store::create(*arena_, clock_));
    for (ClientId& client : clients_) {
      client = *store_->add_client(&client == clients_.data() ? "a" : "b");
      store_->set_target(client, kFrames);
      ASSERT_TRUE(store_->set_compression(client, Compression::kLz4).ok());
    }
    persistent_ = *store_->create_pool(clients_[0], PoolKind::kPersistent);
    ephemeral_ = *store_->create_pool(clients_[1], PoolKind::kEphemeral);
  }

  void work(std::uint32_t thread) {
    std::mt19937_64 random(thread);
    std::map<PageKey, std::uint64_t> mine;
    alignas(64) std::byte page[kPageSize];
    for (std::uint64_t i = 0; i < 50'000; ++i) {
      const bool persistent = random() % 2 == 0;
      const PageKey key{persistent ? persistent_ : ephemeral_, thread,
                        static_cast<std::uint32_t>(random() % 300)};
      const std::uint64_t choice = random() % 4;
      if (choice < 2) {
        const std::uint64_t content = i * 64 + thread;
        make_page(content, page);
        if (store_->put(key, page) == PutResult::kStored) {
          mine[key] = content;
        } else {
          mine.erase(key);
        }
      } else if (choice == 2) {
        const bool found = store_->get(key, page) == GetResult::kFound;
        const auto known = mine.find(key);
        // A persistent page stays; an ephemeral one may have gone, but is never another's.
        ASSERT_EQ(found && known == mine.end(), false);
        ASSERT_EQ(persistent && known != mine.end() && !found, false);
        ASSERT_TRUE(!found || is_page(known->second, page));
      } else {
        store_->flush_page(key);
        mine.erase(key);
      }
    }
  }

  TempDir dir_{"/dev/shm"};
  SystemClock clock_;
  std::optional<memory::Arena> arena_;
  std::unique_ptr<Store> store_;
  std::array<ClientId, 2> clients_;
  PoolId persistent_;
  PoolId ephemeral_;
};

TEST_F(PackedThreadsTest, everyThread_findsItsOwnPages) {
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] { work(i); });
  }
  std::atomic<bool> done{false};
  std::thread control([&] {
    std::mt19937_64 random(99);
    while (!done) {
      store_->set_target(clients_[0], random() % kFrames);
      const auto compression = random() % 4 == 0 ? Compression::kOff : Compression::kLz4;
      ASSERT_TRUE(store_->set_compression(clients_[random() % 2], compression).ok());
      store_->take_interval();
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) {
    thread.join();
  }
  done = true;
  control.join();
  for (const ClientId client : clients_) {
    ASSERT_TRUE(store_->remove_client(client).ok());
  }
  EXPECT_EQ(store_->free_frames(), kFrames);
}

}  // namespace
}  // namespace fallow::tmem
