// The store against a model of a few std::maps: single-threaded, every answer and every counter
// must agree, refusals and evictions included, and what it holds outlives it. Then many threads,
// each checking its own keys.

#include <gtest/gtest.h>

#include <cstring>
#include <list>
#include <map>
#include <random>
#include <thread>

#include "base/temp_dir.h"
#include "memory/page_copy.h"
#include "tmem/store.h"

namespace fallow::tmem {
namespace {

constexpr std::uint64_t kFrames = 96;
constexpr std::uint64_t kPatterns = kFrames / 8;

// A page is told by one number: even ones are repeated words.
void make_page(std::uint64_t content, std::byte* page) {
  memory::fill_page(page, content);
  if (content % 2 == 1) {
    std::memcpy(page + 8 * (content % 512), "differs", 8);
  }
}

struct ModelPage {
  std::uint64_t content;
  bool pattern;
};

struct ModelClient {
  ClientId id;
  std::uint64_t target = 0;
  std::uint64_t used = 0;
  std::uint64_t patterns = 0;
  Counters counters;
};

struct ModelPool {
  std::size_t client;
  PoolKind kind;
};

class Model {
 public:
  PutResult put(const PageKey& key, std::uint64_t content) {
    ModelPool& pool = pools.at(key.pool);
    ModelClient& client = clients[pool.client];
    ++client.counters.puts_total;
    const PutResult result = place(key, content, pool, client);
    client.counters.puts_succ += result == PutResult::kStored ? 1 : 0;
    return result;
  }

  std::optional<std::uint64_t> get(const PageKey& key) {
    ModelPool& pool = pools.at(key.pool);
    ++clients[pool.client].counters.gets_total;
    const auto found = pages.find(key);
    if (found == pages.end()) {
      return std::nullopt;
    }
    ++clients[pool.client].counters.gets_succ;
    if (pool.kind == PoolKind::kEphemeral && !found->second.pattern) {
      recency.remove(key);
      recency.push_back(key);
    }
    return found->second.content;
  }

  bool drop(const PageKey& key) {
    const auto found = pages.find(key);
    if (found == pages.end()) {
      return false;
    }
    ModelClient& client = clients[pools.at(key.pool).client];
    if (found->second.pattern) {
      --client.patterns;
      ++free_patterns;
    } else {
      --client.used;
      ++free_frames;
      recency.remove(key);
    }
    pages.erase(found);
    return true;
  }

  std::vector<ModelClient> clients;
  std::map<PoolId, ModelPool> pools;
  std::map<PageKey, ModelPage> pages;
  std::list<PageKey> recency;  // frames of ephemeral pools, least recently used first
  std::uint64_t free_frames = kFrames;
  std::uint64_t free_patterns = kPatterns;

 private:
  PutResult place(const PageKey& key, std::uint64_t content, const ModelPool& pool,
                  ModelClient& client) {
    const bool word = content % 2 == 0 && free_patterns > 0;
    const auto old = pages.find(key);
    const bool had_frame = old != pages.end() && !old->second.pattern;
    if (client.target == 0) {
      drop(key);
      return PutResult::kOverTarget;
    }
    if (word) {
      drop(key);
      --free_patterns;
      ++client.patterns;
      pages[key] = {content, true};
      return PutResult::kStored;
    }
    drop(key);
    if (client.used >= client.target) {
      return PutResult::kOverTarget;
    }
    if (free_frames == 0 && !had_frame && !evict()) {
      return PutResult::kNoFrame;
    }
    --free_frames;
    ++client.used;
    pages[key] = {content, false};
    if (pool.kind == PoolKind::kEphemeral) {
      recency.push_back(key);
    }
    return PutResult::kStored;
  }

  bool evict() {
    if (recency.empty()) {
      return false;
    }
    const PageKey victim = recency.front();
    ++clients[pools.at(victim.pool).client].counters.pages_evicted;
    return drop(victim);
  }
};

class StoreModelTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  void SetUp() override {
    arena_.emplace(std::move(*memory::Arena::open(
        {.directory = dir_.path(), .name = "t", .bytes = kFrames * kPageSize})));
    store_ = std::move(*Store::create(*arena_, clock_, {.hash_seed = GetParam() + 1}));
    for (std::size_t i = 0; i < 3; ++i) {
      model_.clients.push_back(
          {.id = *store_->add_client("c" + std::to_string(i)), .counters = {}});
      add_pool(i, PoolKind::kPersistent);
      add_pool(i, i == 1 ? PoolKind::kPersistent : PoolKind::kEphemeral);
    }
  }

  void add_pool(std::size_t client, PoolKind kind) {
    const PoolId pool = *store_->create_pool(model_.clients[client].id, kind);
    model_.pools[pool] = {client, kind};
    pools_.push_back(pool);
  }

  PageKey any_key() { return {pools_[random_() % pools_.size()], random_() % 3, pick_index()}; }
  std::uint32_t pick_index() { return static_cast<std::uint32_t>(random_() % 24); }

  void check_put() {
    const PageKey key = any_key();
    const std::uint64_t content = random_() % 64;
    make_page(content, page_);
    ASSERT_EQ(store_->put(key, page_), model_.put(key, content));
  }

  void check_get() {
    const PageKey key = any_key();
    const auto expected = model_.get(key);
    ASSERT_EQ(store_->get(key, page_) == GetResult::kFound, expected.has_value());
    if (expected) {
      make_page(*expected, expected_);
      ASSERT_EQ(std::memcmp(page_, expected_, kPageSize), 0);
    }
  }

  void check_flush() {
    const PageKey key = any_key();
    Counters& counters = model_.clients[model_.pools.at(key.pool).client].counters;
    ++counters.flushes_total;
    const bool there = model_.drop(key);
    counters.pages_flushed += there ? 1 : 0;
    ASSERT_EQ(store_->flush_page(key), there);
  }

  void check_flush_object() {
    const PageKey key = any_key();
    std::vector<PageKey> victims;
    for (const auto& [at, page] : model_.pages) {
      if (at.pool == key.pool && at.object == key.object) {
        victims.push_back(at);
      }
    }
    for (const PageKey& victim : victims) {
      model_.drop(victim);
    }
    Counters& counters = model_.clients[model_.pools.at(key.pool).client].counters;
    ++counters.flushes_total;
    counters.pages_flushed += victims.size();
    ASSERT_EQ(store_->flush_object(key.pool, key.object), victims.size());
  }

  void change_target() {
    ModelClient& client = model_.clients[random_() % model_.clients.size()];
    client.target = random_() % 8 == 0 ? 0 : random_() % (kFrames + 20);
    store_->set_target(client.id, client.target);
  }

  void check_statistics() {
    ASSERT_EQ(store_->free_frames(), model_.free_frames);
    const auto statistics = store_->statistics();
    for (std::size_t i = 0; i < model_.clients.size(); ++i) {
      ASSERT_EQ(statistics[i].used, model_.clients[i].used);
      ASSERT_EQ(statistics[i].patterns, model_.clients[i].patterns);
      ASSERT_EQ(statistics[i].total, model_.clients[i].counters);
    }
  }

  // The next life finds every page, every target and every pool in the frame table. In which order
  // ephemeral pages were used is forgotten, so they go first.
  void restart() {
    while (!model_.recency.empty()) {
      const PageKey key = model_.recency.front();
      model_.drop(key);
      ASSERT_TRUE(store_->flush_page(key));
    }
    store_.reset();
    arena_.reset();
    arena_.emplace(std::move(*memory::Arena::open(
        {.directory = dir_.path(), .name = "t", .bytes = kFrames * kPageSize})));
    ASSERT_TRUE(arena_->recovered());
    store_ = std::move(*Store::create(*arena_, clock_, {.hash_seed = random_()}));
    ASSERT_EQ(store_->recovery().pages + store_->recovery().patterns, model_.pages.size());
    ASSERT_EQ(store_->recovery().lost, 0u);
    const auto statistics = store_->statistics();
    for (std::size_t i = 0; i < model_.clients.size(); ++i) {
      model_.clients[i].counters = {};
      ASSERT_EQ(statistics[i].target, model_.clients[i].target);
    }
    check_statistics();
  }

  void step() {
    if (random_() % 5'000 == 0) {
      restart();
      return;
    }
    const std::uint64_t choice = random_() % 1000;
    if (choice < 500) {
      check_put();
    } else if (choice < 800) {
      check_get();
    } else if (choice < 985) {
      check_flush();
    } else if (choice < 990) {
      check_flush_object();
    } else if (choice < 998) {
      change_target();
    } else {
      check_statistics();
    }
  }

  TempDir dir_{"/dev/shm"};
  ManualClock clock_;
  std::optional<memory::Arena> arena_;
  std::unique_ptr<Store> store_;
  Model model_;
  std::vector<PoolId> pools_;
  std::mt19937_64 random_{GetParam()};
  alignas(64) std::byte page_[kPageSize];
  alignas(64) std::byte expected_[kPageSize];
};

TEST_P(StoreModelTest, randomOperations_agreeWithTheModel) {
  for (int i = 0; i < 1'000'000; ++i) {
    ASSERT_NO_FATAL_FAILURE(step()) << "step " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreModelTest, testing::Values(1, 2, 3));

// Each thread owns some keys of pools that all of them share and knows what it last put there; the
// rest (targets, evictions, a pool that comes and goes) changes under its feet.
class StoreThreadsTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kThreadFrames = 512;

  void SetUp() override {
    arena_.emplace(std::move(*memory::Arena::open(
        {.directory = dir_.path(), .name = "t", .bytes = kThreadFrames * kPageSize})));
    store_ = std::move(*Store::create(*arena_, clock_));
    client_ = *store_->add_client("a");
    other_ = *store_->add_client("b");
    store_->set_target(client_, kThreadFrames / 2);
    store_->set_target(other_, kThreadFrames);
    persistent_ = *store_->create_pool(client_, PoolKind::kPersistent);
    ephemeral_ = *store_->create_pool(other_, PoolKind::kEphemeral);
  }

  void work(std::uint32_t thread) {
    std::mt19937_64 random(thread);
    std::map<PageKey, std::uint64_t> mine;
    alignas(64) std::byte page[kPageSize];
    alignas(64) std::byte expected[kPageSize];
    for (std::uint64_t i = 0; i < 100'000; ++i) {
      const bool persistent = random() % 2 == 0;
      const PageKey key{persistent ? persistent_ : ephemeral_, thread,
                        static_cast<std::uint32_t>(random() % 200)};
      const std::uint64_t content = i * 64 + thread;
      switch (random() % 4) {
        case 0:
        case 1:
          make_page(content, page);
          if (store_->put(key, page) == PutResult::kStored) {
            mine[key] = content;
          } else {
            mine.erase(key);
          }
          break;
        case 2: {
          const bool found = store_->get(key, page) == GetResult::kFound;
          const auto known = mine.find(key);
          // A persistent page stays; an ephemeral one may have gone, but is never another's.
          ASSERT_EQ(found && known == mine.end(), false);
          ASSERT_EQ(persistent && known != mine.end() && !found, false);
          if (found) {
            make_page(known->second, expected);
            ASSERT_EQ(std::memcmp(page, expected, kPageSize), 0);
          }
          break;
        }
        default:
          store_->flush_page(key);
          mine.erase(key);
      }
    }
  }

  TempDir dir_{"/dev/shm"};
  SystemClock clock_;
  std::optional<memory::Arena> arena_;
  std::unique_ptr<Store> store_;
  ClientId client_;
  ClientId other_;
  PoolId persistent_;
  PoolId ephemeral_;
};

TEST_F(StoreThreadsTest, everyThread_findsItsOwnPages) {
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] { work(i); });
  }
  std::atomic<bool> done{false};
  std::thread control([&] {
    std::mt19937_64 random(99);
    alignas(64) std::byte page[kPageSize];
    make_page(1, page);
    while (!done) {
      const PoolId pool = *store_->create_pool(other_, PoolKind::kPersistent);
      store_->put({pool, 0, 1}, page);
      store_->set_target(client_, random() % kThreadFrames);
      store_->take_interval();
      std::array<PageKey, 16> keys;
      store_->oldest(persistent_, keys);
      ASSERT_TRUE(store_->destroy_pool(pool).ok());
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) {
    thread.join();
  }
  done = true;
  control.join();
  ASSERT_TRUE(store_->remove_client(client_).ok());
  ASSERT_TRUE(store_->remove_client(other_).ok());
  EXPECT_EQ(store_->free_frames(), kThreadFrames);
}

}  // namespace
}  // namespace fallow::tmem
