// The store against a plain copy with the same access pattern: one thread, frames in random order.

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <random>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/temp_dir.h"
#include "bench/bench_case.h"
#include "memory/page_copy.h"
#include "memory/reserved_file.h"
#include "tmem/store.h"

namespace fallow::bench {
namespace {

constexpr unsigned kRounds = 9;

// An arena with a store, filled so that the keys' frames lie in random order; guest pages to put
// from and to get into; and a second arena of the same size for the peer's plain copies.
class Bed {
 public:
  explicit Bed(const Settings& settings)
      : frames_(settings.length == Settings::Length::kQuick ? 1u << 14 : 1u << 18),
        store_arena_(make_arena("store")),
        peer_arena_(make_arena("peer")),
        store_(std::move(*tmem::Store::create(store_arena_, clock_))),
        client_(*store_->add_client("bench")),
        pool_(*store_->create_pool(client_, tmem::PoolKind::kPersistent)),
        guest_(static_cast<std::byte*>(std::aligned_alloc(kPageSize, kGuestPages * kPageSize))),
        order_(frames_) {
    std::mt19937_64 random(1);
    for (std::size_t at = 0; at < kGuestPages * kPageSize; at += 8) {
      const std::uint64_t word = random();
      std::memcpy(guest_.get() + at, &word, 8);
    }
    memory::fill_page(zeros_, 0);
    std::iota(order_.begin(), order_.end(), 0u);
    std::shuffle(order_.begin(), order_.end(), random);
    store_->set_target(client_, frames_);
    for (std::uint32_t i = 0; i < frames_; ++i) {
      std::memset(peer_arena_.frame(i), 1, kPageSize);
    }
    fill();
  }

  [[nodiscard]] std::uint32_t frames() const { return frames_; }
  [[nodiscard]] std::byte* guest(std::uint32_t i) const {
    return guest_.get() + std::size_t{i % kGuestPages} * kPageSize;
  }
  [[nodiscard]] tmem::PageKey key(std::uint32_t i) const { return {pool_, 0, i}; }
  [[nodiscard]] std::uint32_t at_random(std::uint32_t i) const { return order_[i]; }
  tmem::Store& store() { return *store_; }
  [[nodiscard]] std::byte* peer_frame(std::uint32_t i) const { return peer_arena_.frame(i); }
  [[nodiscard]] const std::byte* zeros() const { return zeros_; }
  void set_target(std::uint64_t frames) { store_->set_target(client_, frames); }

  void fill() {
    for (const std::uint32_t i : order_) {
      CHECK(store_->put(key(i), guest(i)) == tmem::PutResult::kStored);
    }
  }
  void empty() {
    // In random order, so that the next fill's frames are in random order too, whatever the
    // allocator prefers.
    for (std::uint32_t i = 0; i < frames_; ++i) {
      store_->flush_page(key(at_random(i)));
    }
  }

  // Pages a second over one pass of `work` over all pages.
  template <typename Work>
  double rate(Work work) {
    const std::uint64_t start = clock_.now_ns();
    for (std::uint32_t i = 0; i < frames_; ++i) {
      work(i);
    }
    return static_cast<double>(frames_) * 1e9 / static_cast<double>(clock_.now_ns() - start);
  }

 private:
  static constexpr std::size_t kGuestPages = 4096;

  memory::Arena make_arena(const std::string& name) {
    auto arena = memory::Arena::open({.directory = dir_.path(),
                                      .name = name,
                                      .bytes = std::uint64_t{frames_} * kPageSize,
                                      .node = NodeId(0)});
    if (!arena) {
      log_error("no-arena", {{"error", arena.error().text}});
      std::exit(1);
    }
    return std::move(*arena);
  }

  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };

  std::uint32_t frames_;
  TempDir dir_{"/dev/shm"};
  SystemClock clock_;
  memory::Arena store_arena_;
  memory::Arena peer_arena_;
  std::unique_ptr<tmem::Store> store_;
  ClientId client_;
  PoolId pool_;
  std::unique_ptr<std::byte, Free> guest_;
  std::vector<std::uint32_t> order_;
  alignas(64) std::byte zeros_[kPageSize];
};

// Putting into a store with room: every put is new. The peer copies into its frames in random
// order.
Result put_vs_copy(const Case& what, const Settings& settings) {
  Bed bed(settings);
  return measure_in_turn(
      what, kRounds,
      [&] {
        bed.empty();
        return bed.rate([&](std::uint32_t i) {
          const auto stored = bed.store().put(bed.key(bed.at_random(i)), bed.guest(i));
          CHECK(stored == tmem::PutResult::kStored);
        });
      },
      [&] {
        return bed.rate([&](std::uint32_t i) {
          std::memcpy(bed.peer_frame(bed.at_random(i)), bed.guest(i), kPageSize);
        });
      });
}

Result get_vs_copy(const Case& what, const Settings& settings) {
  Bed bed(settings);
  return measure_in_turn(
      what, kRounds,
      [&] {
        return bed.rate([&](std::uint32_t i) {
          const auto found = bed.store().get(bed.key(bed.at_random(i)), bed.guest(i));
          CHECK(found == tmem::GetResult::kFound);
        });
      },
      [&] {
        return bed.rate([&](std::uint32_t i) {
          std::memcpy(bed.guest(i), bed.peer_frame(bed.at_random(i)), kPageSize);
        });
      });
}

// Zero pages, within the pattern records that the frames come with, against ordinary puts.
Result zero_put_vs_put(const Case& what, const Settings& settings) {
  Bed bed(settings);
  const std::uint32_t patterns = bed.frames() / 8;
  return measure_in_turn(
      what, kRounds,
      [&] {
        bed.empty();
        return bed.rate([&](std::uint32_t i) {
          bed.store().put(bed.key(bed.at_random(i) % patterns), bed.zeros());
        });
      },
      [&] {
        bed.empty();
        return bed.rate(
            [&](std::uint32_t i) { bed.store().put(bed.key(bed.at_random(i)), bed.guest(i)); });
      });
}

double seconds_each(double rate) {
  return 1e9 / rate;
}

// Refused puts of new keys, once at the target with the pool full and once without a frame, against
// puts that succeed. Nanoseconds a put.
Result failing_put_vs_put(const Case& what, const Settings& settings) {
  Bed bed(settings);
  const auto refused = [&](std::uint64_t target, tmem::PutResult expected) {
    bed.set_target(target);
    return seconds_each(bed.rate([&](std::uint32_t i) {
      const tmem::PageKey key = bed.key(bed.frames() + bed.at_random(i));
      CHECK(bed.store().put(key, bed.guest(i)) == expected);
    }));
  };
  return measure_in_turn(
      what, kRounds,
      [&] {
        bed.set_target(bed.frames());
        bed.empty();
        bed.fill();
        return std::max(refused(bed.frames(), tmem::PutResult::kOverTarget),
                        refused(2ull * bed.frames(), tmem::PutResult::kNoFrame));
      },
      [&] {
        bed.set_target(bed.frames());
        bed.empty();
        return seconds_each(bed.rate(
            [&](std::uint32_t i) { bed.store().put(bed.key(bed.at_random(i)), bed.guest(i)); }));
      });
}

// The way back after a daemon's death: a table and frames that another life filled, mapped anew.
// Milliseconds for all frames, against a plain read of them through a new mapping.
Result recover_vs_read(const Case& what, const Settings& settings) {
  const TempDir dir("/dev/shm");
  const SystemClock clock;
  const std::uint64_t frames = settings.length == Settings::Length::kQuick ? 1u << 14 : 1u << 18;
  const memory::ArenaOptions options{
      .directory = dir.path(), .name = "left", .bytes = frames * kPageSize, .node = NodeId(0)};
  {
    auto arena = memory::Arena::open(options);
    CHECK(arena.ok());
    const auto store = std::move(*tmem::Store::create(*arena, clock));
    const ClientId client = *store->add_client("bench");
    const PoolId pool = *store->create_pool(client, tmem::PoolKind::kPersistent);
    store->set_target(client, frames);
    alignas(64) std::byte page[kPageSize] = {};
    for (std::uint32_t i = 1; i <= frames; ++i) {
      std::memcpy(page, &i, sizeof i);
      CHECK(store->put({pool, 0, i}, page) == tmem::PutResult::kStored);
    }
  }
  const auto milliseconds = [&clock](auto work) {
    const std::uint64_t start = clock.now_ns();
    work();
    return static_cast<double>(clock.now_ns() - start) / 1e6;
  };
  return measure_in_turn(
      what, kRounds,
      [&] {
        return milliseconds([&] {
          auto arena = memory::Arena::open(options);
          CHECK(arena.ok() && arena->recovered());
          const auto store = std::move(*tmem::Store::create(*arena, clock));
          CHECK(store->recovery().pages == frames);
        });
      },
      [&] {
        return milliseconds([&] {
          const auto file = memory::open_reserved(dir.path() + "/left.frames");
          std::uint64_t sum = 0;
          for (std::size_t at = 0; at < file->size(); at += sizeof sum) {
            std::uint64_t word = 0;
            std::memcpy(&word, file->data() + at, sizeof word);
            sum += word;
          }
          CHECK(sum != 1);
        });
      });
}

}  // namespace

std::vector<Case> store_cases() {
  return {
      {"store.put_vs_copy", "pages/s", "higher", 0.9, "put of a page against a plain copy",
       put_vs_copy},
      {"store.get_vs_copy", "pages/s", "higher", 0.9, "get of a page against a plain copy",
       get_vs_copy},
      {"store.zero_put_vs_put", "pages/s", "higher", 4.0,
       "put of a zero page against an ordinary put", zero_put_vs_put},
      {"store.failing_put_vs_put", "ns/put", "lower", 0.1,
       "a refused put against one that succeeds", failing_put_vs_put},
      {"store.recover_vs_read", "ms/GiB", "lower", 2.0,
       "rebuilding 1 GiB of frames, every checksum verified, against reading them",
       recover_vs_read},
  };
}

}  // namespace fallow::bench
