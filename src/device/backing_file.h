// A backing store in a file or on a block device, through io_uring.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/result.h"
#include "device/backing_store.h"

namespace fallow {

struct BackingOptions {
  std::string path;
  std::uint64_t size_bytes = 0;  // of the device: the file must be as large
  // kCreate: the file is the daemon's own, made sparse on demand; content that a life before left
  // in it is dropped. kUse: the file or block device is the operator's and must be there.
  enum class Origin : std::uint8_t { kCreate, kUse } origin = Origin::kCreate;
  // kKeep: with kUse, content that the file already has is an error, as a device starts empty.
  // kDiscard: it may be dropped. kRecover: it is that of the device in a life before, and stays.
  enum class Content : std::uint8_t { kKeep, kDiscard, kRecover } content = Content::kKeep;
};

class BackingFile final : public BackingStore {
 public:
  // Errors (kInvalid) say what is wrong with the file and how to mend it: missing, too small,
  // read-only, in use by another device, not empty. A refused file is unchanged. With kRecover it
  // waits up to kLockWaitMs for the lock: writes that a killed daemon had under way hold it until
  // they have landed, and none may land after what this one writes.
  static constexpr unsigned kLockWaitMs = 30'000;
  static Result<std::unique_ptr<BackingFile>> open(const BackingOptions& options);
  ~BackingFile() override;

  // True when the host's page cache is bypassed (O_DIRECT).
  [[nodiscard]] bool direct() const { return direct_; }

  void submit(BackingIo* io) override;
  Status grow(std::uint64_t size_bytes) override;
  [[nodiscard]] int event_fd() const override { return event_.get(); }
  void poll() override;
  void wait() override;

 private:
  explicit BackingFile(BackingOptions options) : options_(std::move(options)) {}
  Status start_ring();
  void submit_queued();
  void complete(io_uring_cqe* cqe);

  BackingOptions options_;
  UniqueFd file_;
  UniqueFd event_;
  bool direct_ = false;
  bool ring_started_ = false;
  io_uring ring_{};
};

}  // namespace fallow
