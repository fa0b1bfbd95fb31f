// A backing store in memory for tests: completions come in any order and only when asked for, and
// operations fail on demand.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <vector>

#include "base/file.h"
#include "device/backing_store.h"

namespace fallow {

class FakeBackingStore final : public BackingStore {
 public:
  explicit FakeBackingStore(std::uint64_t size_bytes, std::uint64_t seed = 1)
      : bytes_(size_bytes, std::byte{0xee}), random_(seed) {}

  // Says which operations fail, when they complete. Default: none.
  std::function<bool(const BackingIo&)> fails = [](const BackingIo&) { return false; };
  // poll() completes up to this many, chosen at random.
  std::size_t completions_per_poll = ~std::size_t{0};

  void submit(BackingIo* io) override { under_way_.push_back(io); }
  Status grow(std::uint64_t size_bytes) override {
    bytes_.resize(size_bytes, std::byte{0xee});
    return {};
  }
  [[nodiscard]] int event_fd() const override { return -1; }
  void poll() override {
    for (std::size_t i = 0; i < completions_per_poll && !under_way_.empty(); ++i) {
      complete_one();
    }
  }
  void wait() override { complete_one(); }
  [[nodiscard]] std::size_t under_way() const { return under_way_.size(); }
  [[nodiscard]] std::byte* bytes() { return bytes_.data(); }

 private:
  void complete_one() {
    std::swap(under_way_[random_() % under_way_.size()], under_way_.back());
    BackingIo* io = under_way_.back();
    under_way_.pop_back();
    const bool failing = fails(*io);
    if (io->kind == BackingIo::Kind::kWrite) {
      // A failing write leaves half of itself behind.
      std::memcpy(bytes_.data() + io->offset, io->buffer, failing ? io->length / 2 : io->length);
    } else if (io->kind == BackingIo::Kind::kRead && !failing) {
      std::memcpy(io->buffer, bytes_.data() + io->offset, io->length);
    } else if (io->kind == BackingIo::Kind::kPunch && !failing) {
      std::memset(bytes_.data() + io->offset, 0xdd, io->length);  // whoever reads it is wrong
    }
    io->done(io, failing ? 5 : 0);
  }

  std::vector<std::byte> bytes_;
  std::vector<BackingIo*> under_way_;
  std::mt19937_64 random_;
};

}  // namespace fallow
