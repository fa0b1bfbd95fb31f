// Compressed pages in the store against the kernel's zram with the same algorithm: the same pages
// into both.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "bench/bench_case.h"
#include "bench/zram_device.h"
#include "tmem/store.h"

namespace fallow::bench {
namespace {

constexpr unsigned kRounds = 5;

using Page = std::span<std::byte>;
using Random = std::mt19937_64;

template <typename Value>
void put_value(Page page, std::size_t at, Value value) {
  std::memcpy(page.data() + at, &value, sizeof value);
}

// Words of a small language, the frequent ones more often.
void make_text(Page page, Random& random) {
  std::size_t at = 0;
  while (at < page.size()) {
    Random word(random() % 200 * (random() % 200) / 40);
    const std::size_t letters = 2 + word() % 9;
    for (std::size_t i = 0; i < letters && at < page.size(); ++i) {
      page[at++] = static_cast<std::byte>('a' + word() % 26);
    }
    if (at < page.size()) {
      page[at++] = static_cast<std::byte>(random() % 12 == 0 ? '\n' : ' ');
    }
  }
}

// Records of a heap: a pointer or two, a small number, flags.
void make_objects(Page page, Random& random) {
  const std::uint64_t heap = 0x7f0000000000 + (random() % 4096 << 24);
  for (std::size_t at = 0; at + 32 <= page.size(); at += 32) {
    put_value(page, at, heap + (random() % 65536) * 16);
    put_value(page, at + 8, random() % 3 == 0 ? std::uint64_t{0} : heap + (random() % 65536) * 16);
    put_value(page, at + 16, random() % 1000);
    put_value(page, at + 24, std::uint64_t{random() % 4});
  }
}

void make_sparse(Page page, Random& random) {
  std::memset(page.data(), 0, page.size());
  for (int i = 0; i < 24; ++i) {
    put_value(page, random() % (page.size() / 8) * 8, random());
  }
}

void make_noise(Page page, Random& random) {
  for (std::size_t at = 0; at < page.size(); at += 8) {
    put_value(page, at, random());
  }
}

// Pages of this host's programs, folder order and file order fixed; runs out quietly.
class ProgramPages {
 public:
  ProgramPages() {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/usr/bin", error)) {
      if (entry.is_regular_file(error) && !entry.is_symlink(error)) {
        paths_.push_back(entry.path());
      }
    }
    std::sort(paths_.begin(), paths_.end(), std::greater<>());
  }
  bool read(Page page) {
    while (!paths_.empty()) {
      if (!file_.valid()) {
        file_ = UniqueFd(::open(paths_.back().c_str(), O_RDONLY | O_CLOEXEC));
        offset_ = 0;
      }
      if (file_.valid() && ::pread(file_.get(), page.data(), page.size(), offset_) ==
                               static_cast<ssize_t>(page.size())) {
        offset_ += static_cast<off_t>(page.size());
        return true;
      }
      file_ = UniqueFd();
      paths_.pop_back();
    }
    return false;
  }

 private:
  std::vector<std::string> paths_;  // the next last
  UniqueFd file_;
  off_t offset_ = 0;
};

// A guest's memory, page by page: text, objects, sparse pages, programs, and one in six that does
// not compress.
class GuestPages {
 public:
  explicit GuestPages(std::uint32_t count)
      : count_(count),
        bytes_(static_cast<std::byte*>(std::aligned_alloc(kPageSize, count * kPageSize))) {
    Random random(1);
    ProgramPages programs;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Page page = at(i);
      switch (i % 6) {
        case 0:
          make_noise(page, random);
          break;
        case 1:
          make_sparse(page, random);
          break;
        case 2:
          make_objects(page, random);
          break;
        case 3:
        case 4:
          if (!programs.read(page)) {
            make_objects(page, random);
          }
          break;
        default:
          make_text(page, random);
      }
    }
  }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] Page at(std::uint32_t i) const { return {bytes_.get() + i * kPageSize, kPageSize}; }
  [[nodiscard]] Page all() const { return {bytes_.get(), count_ * kPageSize}; }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::uint32_t count_;
  std::unique_ptr<std::byte, Free> bytes_;
};

class Bed {
 public:
  Bed(const Settings& settings, std::unique_ptr<ZramDevice> zram)
      : pages_(count(settings)),
        arena_(std::move(*memory::Arena::open({.directory = dir_.path(),
                                               .name = "store",
                                               .bytes = pages_.all().size(),
                                               .compressed_pages_per_frame = 2}))),
        store_(std::move(*tmem::Store::create(arena_, clock_))),
        client_(*store_->add_client("bench")),
        pool_(*store_->create_pool(client_, tmem::PoolKind::kPersistent)),
        zram_(std::move(zram)) {
    store_->set_target(client_, arena_.frames());
    CHECK(store_->set_compression(client_, tmem::Compression::kLz4).ok());
  }
  static std::uint32_t count(const Settings& settings) {
    return settings.length == Settings::Length::kQuick ? 1u << 13 : 1u << 16;
  }

  double put_into_store() {
    store_->flush_object(pool_, 0);
    return rate([&] {
      for (std::uint32_t i = 0; i < pages_.count(); ++i) {
        CHECK(store_->put({pool_, 0, i}, pages_.at(i).data()) == tmem::PutResult::kStored);
      }
    });
  }
  double get_from_store() {
    return rate([&] {
      for (std::uint32_t i = 0; i < pages_.count(); ++i) {
        CHECK(store_->get({pool_, 0, i}, pages_.at(i).data()) == tmem::GetResult::kFound);
      }
    });
  }
  // Requests of 256 KiB: what is measured is zram, not the way there.
  double write_to_zram() {
    zram_->discard_all();
    return rate([&] {
      for (std::size_t at = 0; at < pages_.all().size(); at += kRequestBytes) {
        CHECK(zram_->write(pages_.all().subspan(at, kRequestBytes), at));
      }
    });
  }
  double read_from_zram() {
    return rate([&] {
      for (std::size_t at = 0; at < pages_.all().size(); at += kRequestBytes) {
        CHECK(zram_->read(pages_.all().subspan(at, kRequestBytes), at));
      }
    });
  }
  [[nodiscard]] double store_ratio() const {
    const tmem::ClientStatistics held = store_->statistics().at(0);
    return static_cast<double>(pages_.count()) / static_cast<double>(held.used);
  }
  [[nodiscard]] double zram_ratio() const {
    const auto use = zram_->use();
    CHECK(use.ok());
    return static_cast<double>(pages_.all().size()) / static_cast<double>(use->memory);
  }

 private:
  static constexpr std::size_t kRequestBytes = 256 << 10;

  template <typename Work>
  double rate(Work work) {
    const std::uint64_t start = clock_.now_ns();
    work();
    return static_cast<double>(pages_.count()) * 1e9 / static_cast<double>(clock_.now_ns() - start);
  }

  GuestPages pages_;
  TempDir dir_{"/dev/shm"};
  SystemClock clock_;
  memory::Arena arena_;
  std::unique_ptr<tmem::Store> store_;
  ClientId client_;
  PoolId pool_;
  std::unique_ptr<ZramDevice> zram_;
};

Result with_zram(const Case& what, const Settings& settings,
                 const std::function<Result(Bed&)>& measure) {
  auto zram = ZramDevice::create("lz4", Bed::count(settings) * kPageSize);
  if (!zram) {
    return {what.name, {}, what.unit, what.better, {}, "no zram with lz4: " + zram.error().text};
  }
  Bed bed(settings, *std::move(zram));
  return measure(bed);
}

Result ratio(const Case& what, const Settings& settings) {
  return with_zram(what, settings, [&](Bed& bed) -> Result {
    bed.put_into_store();
    bed.write_to_zram();
    return {what.name, {bed.store_ratio(), bed.zram_ratio()}, what.unit, what.better, {}};
  });
}

Result put_rate(const Case& what, const Settings& settings) {
  return with_zram(what, settings, [&](Bed& bed) {
    return measure_in_turn(
        what, kRounds, [&] { return bed.put_into_store(); }, [&] { return bed.write_to_zram(); });
  });
}

Result get_rate(const Case& what, const Settings& settings) {
  return with_zram(what, settings, [&](Bed& bed) {
    bed.put_into_store();
    bed.write_to_zram();
    return measure_in_turn(
        what, kRounds, [&] { return bed.get_from_store(); }, [&] { return bed.read_from_zram(); });
  });
}

}  // namespace

std::vector<Case> compress_cases() {
  return {
      {"compress.ratio",
       "bytes/byte",
       "higher",
       {},
       "bytes of pages for each byte of memory that holds them, compressed, against zram",
       ratio},
      {"compress.put_rate",
       "pages/s",
       "higher",
       {},
       "put of pages, compressed, against zram",
       put_rate},
      {"compress.get_rate",
       "pages/s",
       "higher",
       {},
       "get of pages, decompressed, against zram",
       get_rate},
  };
}

}  // namespace fallow::bench
