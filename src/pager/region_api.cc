// Paged regions in the C API (include/fallow/region.h): arguments are checked, no exception passes.
#include <fallow/region.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

#include "base/units.h"
#include "client/failure.h"
#include "pager/pager.h"

struct fallow_region {
  std::unique_ptr<fallow::pager::Pager> pager;
  fallow::pager::Pager::SpaceId space = 0;
  std::byte* reserved = nullptr;
  std::size_t reserved_bytes = 0;
  std::byte* memory = nullptr;

  fallow_region() = default;
  fallow_region(const fallow_region&) = delete;
  fallow_region& operator=(const fallow_region&) = delete;
  ~fallow_region() {
    if (memory != nullptr) {
      pager->remove_space(space);
    }
    pager.reset();
    if (reserved != nullptr) {
      ::munmap(reserved, reserved_bytes);
    }
  }
};

namespace fallow::pager {
namespace {

using client::fail;
using client::guarded;

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kBytesMost = std::size_t{1} << 46;
constexpr std::size_t kOptionsFirst = offsetof(fallow_region_options, backing_speed);
constexpr unsigned kHandlersDefault = 2;
constexpr unsigned kHandlersMost = 16;

int fail_with(const Error& error) {
  const int code = error.code == ErrorCode::kInvalid       ? EINVAL
                   : error.code == ErrorCode::kUnreachable ? ENOTCONN
                                                           : EIO;
  return fail(code, error.text);
}

int check(std::size_t bytes, const fallow_region_options& options) {
  if (bytes == 0 || bytes % kPageSize != 0 || bytes > kBytesMost) {
    return fail(EINVAL, "a region has a positive number of whole pages, of 64 TiB at most");
  }
  if (options.handlers > kHandlersMost) {
    return fail(EINVAL, "a region has 1 to 16 handlers");
  }
  return 0;
}

Result<PagerOptions> pager_options(std::size_t ram_limit, const fallow_region_options& options) {
  PagerOptions made;
  made.ram_pages = ram_limit / kPageSize;
  made.handlers = options.handlers != 0 ? options.handlers : kHandlersDefault;
  made.store.socket = options.socket != nullptr ? options.socket : "";
  made.store.name = options.name != nullptr ? options.name : "";
  made.store.daemon = options.no_daemon == 0;
  made.store.backing_path = options.backing != nullptr ? options.backing : "";
  made.store.backing_bytes_max = options.backing_max;
  if (options.backing_speed != nullptr) {
    const Result<DiskSpeed> speed = DiskSpeed::parse(options.backing_speed);
    FALLOW_TRY(speed);
    made.store.backing_speed = *speed;
  }
  return made;
}

// Whole huge pages of address space, so that nothing of the region shares one with other memory;
// but paged by small ones, as what is in RAM is counted and given back by these.
int reserve(std::size_t bytes, fallow_region& region) {
  const std::size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  region.reserved_bytes = rounded + kHugePage;
  void* memory = ::mmap(nullptr, region.reserved_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return fail(ENOMEM, "no room in the address space");
  }
  region.reserved = static_cast<std::byte*>(memory);
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  std::byte* begin = region.reserved + ((at + kHugePage - 1) / kHugePage * kHugePage - at);
  // A kernel without huge pages refuses the first; nothing is lost.
  (void)::madvise(begin, rounded, MADV_NOHUGEPAGE);
  if (::madvise(memory, region.reserved_bytes, MADV_DONTFORK) != 0) {
    return fail(errno, "cannot keep the region from forked processes");
  }
  region.memory = begin;
  return 0;
}

int create(std::size_t bytes, std::size_t ram_limit, const fallow_region_options& options,
           std::unique_ptr<fallow_region>& made) {
  auto region = std::make_unique<fallow_region>();
  const Result<PagerOptions> paging = pager_options(ram_limit, options);
  if (!paging) {
    return fail_with(paging.error());
  }
  Result<UserFault> faults = UserFault::create();
  if (!faults) {
    return fail(EPERM, faults.error().text);
  }
  Result<std::unique_ptr<Pager>> pager = Pager::create(*paging);
  if (!pager) {
    return fail_with(pager.error());
  }
  region->pager = std::move(*pager);
  const auto space =
      region->pager->add_space(std::move(*faults), std::make_unique<OwnMemory>(), false);
  if (!space) {
    return fail_with(space.error());
  }
  region->space = *space;
  if (const int error = reserve(bytes, *region); error != 0) {
    return error;
  }
  std::byte* memory = std::exchange(region->memory, nullptr);
  const Status watched = region->pager->watch(
      region->space, reinterpret_cast<std::uint64_t>(memory), bytes / kPageSize);
  if (!watched) {
    return fail_with(watched.error());
  }
  region->memory = memory;
  made = std::move(region);
  return 0;
}

}  // namespace
}  // namespace fallow::pager

extern "C" {

int fallow_region_create(size_t bytes, size_t ram_limit, const fallow_region_options* options,
                         fallow_region** region) {
  using namespace fallow::pager;
  if (region == nullptr) {
    return fail(EINVAL, "region is NULL");
  }
  fallow_region_options chosen{};
  if (options != nullptr) {
    // A program that was built with an earlier version does not have the last fields.
    if (options->size != sizeof chosen && options->size != kOptionsFirst) {
      return fail(EINVAL, "options.size is not sizeof(struct fallow_region_options)");
    }
    std::memcpy(&chosen, options, options->size);
  }
  if (const int error = check(bytes, chosen); error != 0) {
    return error;
  }
  return guarded([&] {
    std::unique_ptr<fallow_region> made;
    const int error = create(bytes, ram_limit, chosen, made);
    *region = made.release();
    return error;
  });
}

void* fallow_region_memory(fallow_region* region) {
  return region != nullptr ? region->memory : nullptr;
}

int fallow_region_set_ram_limit(fallow_region* region, size_t ram_limit) {
  using namespace fallow::pager;
  if (region == nullptr) {
    return fail(EINVAL, "the region is NULL");
  }
  return guarded([&] {
    const fallow::Status set = region->pager->set_ram_pages(ram_limit / fallow::kPageSize);
    return set ? 0 : fail_with(set.error());
  });
}

void fallow_region_destroy(fallow_region* region) {
  delete region;
}

int fallow_region_get_statistics(fallow_region* region, fallow_region_statistics* statistics) {
  using namespace fallow::pager;
  if (region == nullptr || statistics == nullptr) {
    return fail(EINVAL, "region or statistics is NULL");
  }
  return guarded([&] {
    const PagerStatistics now = region->pager->statistics();
    *statistics = {};
    statistics->ram_limit = now.ram_pages * fallow::kPageSize;
    statistics->resident = now.resident * fallow::kPageSize;
    statistics->in_fallow = now.in_fallow * fallow::kPageSize;
    statistics->in_backing = now.in_file * fallow::kPageSize;
    statistics->faults = now.faults;
    statistics->faults_zero = now.faults_zero;
    statistics->faults_write = now.faults_write;
    statistics->evictions = now.evictions;
    statistics->evictions_clean = now.evictions_clean;
    statistics->evictions_probe = now.probes;
    statistics->prefetched = now.prefetched;
    statistics->prefetch_hits = now.prefetch_hits;
    statistics->failures = now.failures;
    statistics->latency_p50 = now.latency_ns.quantile(0.5);
    statistics->latency_p99 = now.latency_ns.quantile(0.99);
    statistics->latency_max = now.latency_ns.quantile(1.0);
    return 0;
  });
}

}  // extern "C"
