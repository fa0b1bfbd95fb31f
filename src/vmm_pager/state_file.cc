#include "vmm_pager/state_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/units.h"

namespace fallow::vmm_pager {
namespace {

using pager::Page;
using pager::PageState;
using pager::Place;

constexpr char kMagic[8] = {'F', 'A', 'L', 'L', 'O', 'W', 'V', 'M'};
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kHeaderBytes = kPageSize;
constexpr std::uint64_t kMemoryBytesMax = std::uint64_t{1} << 44;

// As the pager understands it (page_table.h).
bool has_left(const Page& page) {
  return page.slot != pager::kNoSlot &&
         (page.state == PageState::kStored || page.state == PageState::kDropping ||
          page.state == PageState::kFilling);
}

std::uint64_t file_bytes(std::uint64_t memory_bytes) {
  return kHeaderBytes + memory_bytes / kPageSize * sizeof(Page);
}

}  // namespace

Result<std::unique_ptr<StateFile>> StateFile::open(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) {
    return invalid(
        failed_errno("cannot open the state file '" + path + "' (name another: --state)", errno)
            .text);
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return invalid("the state file '" + path +
                   "' is in use by another pager: end that one, or name another with --state");
  }
  std::unique_ptr<StateFile> state(new StateFile(path, std::move(file)));
  struct stat status {};
  if (::fstat(state->file_.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return invalid("the state file '" + path + "' is not a regular file: name another (--state)");
  }
  if (status.st_size == 0 && ::ftruncate(state->file_.get(), kHeaderBytes) != 0) {
    return failed_errno("no room for the state file '" + path + "'", errno);
  }
  FALLOW_TRY(state->map());
  if (state->header_->version == 0 && state->header_->complete == 0) {
    std::memcpy(state->header_->magic, kMagic, sizeof kMagic);
    state->header_->version = kVersion;
  }
  FALLOW_TRY(state->check());
  return state;
}

Status StateFile::map() {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0 ||
      static_cast<std::size_t>(status.st_size) < kHeaderBytes) {
    return invalid("'" + path_ + "' is not a pager's state: name another file with --state");
  }
  Result<Mapping> mapped =
      Mapping::map_shared(file_.get(), 0, static_cast<std::size_t>(status.st_size));
  FALLOW_TRY(mapped);
  memory_ = std::make_shared<const Mapping>(std::move(*mapped));
  header_ = reinterpret_cast<Header*>(memory_->data());
  return {};
}

Status StateFile::check() const {
  if (std::memcmp(header_->magic, kMagic, sizeof kMagic) != 0 || header_->version != kVersion) {
    return invalid("'" + path_ + "' is not the state of a pager of this version: name another " +
                   "file with --state");
  }
  if (!holds()) {
    return {};
  }
  const std::uint64_t bytes = header_->memory.bytes;
  bool good =
      bytes % kPageSize == 0 && bytes <= kMemoryBytesMax && memory_->size() == file_bytes(bytes);
  if (good) {
    const std::uint64_t slots_max = bytes / kPageSize * 4 + (std::uint64_t{1} << 16);
    const auto records_all = records(0, bytes);
    good = std::all_of(records_all.begin(), records_all.end(), [slots_max](const Page& page) {
      return page.state <= PageState::kStored &&
             (!has_left(page) ||
              (pager::number_of(page.slot) != 0 && pager::number_of(page.slot) <= slots_max));
    });
  }
  return good ? Status()
              : invalid("the state file '" + path_ +
                        "' is damaged: end the VM, and remove the file");
}

std::uint64_t StateFile::count(Place place) const {
  const auto all = records(0, header_->memory.bytes);
  return static_cast<std::uint64_t>(std::count_if(
      all.begin(), all.end(),
      [place](const Page& page) { return has_left(page) && pager::place_of(page.slot) == place; }));
}

std::span<Page> StateFile::records(std::uint64_t offset, std::uint64_t bytes) const {
  auto* const first = reinterpret_cast<Page*>(memory_->data() + kHeaderBytes);
  return {first + offset / kPageSize, bytes / kPageSize};
}

Status StateFile::begin(const Guest& guest, const FileIdentity& backing) {
  FALLOW_TRY(clear());
  const auto bytes = static_cast<off_t>(file_bytes(guest.memory.bytes));
  // All of it now: a full disk is an error here, and would be a SIGBUS later.
  if (const int error = ::posix_fallocate(file_.get(), 0, bytes); error != 0) {
    (void)clear();
    return failed_errno("no room for the state file '" + path_ + "', " + std::to_string(bytes) +
                            " bytes (name one elsewhere: --state)",
                        error);
  }
  FALLOW_TRY(map());
  header_->process = guest.process;
  header_->memory = guest.memory;
  header_->backing = backing;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  header_->complete = 1;
  return {};
}

Status StateFile::clear() {
  header_->complete = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (::ftruncate(file_.get(), kHeaderBytes) != 0) {
    return failed_errno("cannot empty the state file '" + path_ + "'", errno);
  }
  return map();
}

void StateFile::remove() {
  ::unlink(path_.c_str());
}

}  // namespace fallow::vmm_pager
