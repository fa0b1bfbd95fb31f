// The slow side of a device: where the pages go that memory refuses.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace fallow {

// One operation under way. The caller owns it and keeps it, and its buffer, until done().
struct BackingIo {
  enum class Kind : std::uint8_t {
    kRead,
    kWrite,
    kPunch,  // give the range's space back; its content is of no interest any more
    kSync,   // what was written before is on stable storage when this is done
  };
  Kind kind = Kind::kRead;
  std::uint64_t offset = 0;  // bytes; offset and length are multiples of kPageSize
  std::uint64_t length = 0;
  std::byte* buffer = nullptr;  // page-aligned
  // `error` is 0 or an errno value. Called from poll() or wait(), never from submit().
  void (*done)(BackingIo* io, int error) = nullptr;
};

// One thread at a time, the device's owner.
class BackingStore {
 public:
  // The most operations that may be under way.
  static constexpr unsigned kDepthMax = 64;

  virtual ~BackingStore() = default;
  virtual void submit(BackingIo* io) = 0;
  // Makes room for a device of `size_bytes`, never smaller than it was.
  virtual Status grow(std::uint64_t size_bytes) = 0;
  // Readable when poll() has completions to hand out.
  [[nodiscard]] virtual int event_fd() const = 0;
  virtual void poll() = 0;
  // Like poll(), but blocks until at least one operation is done. Only with one under way.
  virtual void wait() = 0;
};

}  // namespace fallow
