#include "device/location_map.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "memory/reserved_file.h"

namespace fallow {
namespace {

constexpr std::uint64_t kMagic = 0x3150414d574c4146;  // "FALWMAP1"
constexpr std::uint32_t kVersion = 1;

struct MapHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t pool;
  std::uint64_t pages;
  std::uint64_t description_bytes;
  std::byte description[LocationMap::kDescriptionMax];
};
static_assert(sizeof(MapHeader) <= kPageSize);

std::uint64_t bytes_for(std::uint64_t pages) {
  return kPageSize + (pages + 31) / 32 * sizeof(std::uint64_t);
}

const MapHeader& header_of(const Mapping& file) {
  return *reinterpret_cast<const MapHeader*>(file.data());
}

}  // namespace

Result<LocationMap> LocationMap::temporary(std::uint64_t pages) {
  auto memory = Mapping::anonymous(bytes_for(pages));
  FALLOW_TRY(memory);
  LocationMap map;
  map.file_ = std::move(*memory);
  map.words_ = reinterpret_cast<std::uint64_t*>(map.file_.data() + kPageSize);
  map.pages_ = pages;
  return map;
}

Result<LocationMap> LocationMap::create(const std::string& path, std::uint64_t pages, PoolId pool,
                                        std::string_view description) {
  return create_with(path, pages, pool, description, nullptr);
}

Result<LocationMap> LocationMap::grown(const std::string& path, std::uint64_t pages,
                                       std::string_view description) const {
  CHECK(pages >= pages_);
  return create_with(path, pages, pool(), description, this);
}

Result<LocationMap> LocationMap::grown_temporary(std::uint64_t pages) const {
  auto map = temporary(pages);
  if (map) {
    std::memcpy(map->words_, words_, bytes_for(pages_) - kPageSize);
  }
  return map;
}

Result<LocationMap> LocationMap::create_with(const std::string& path, std::uint64_t pages,
                                             PoolId pool, std::string_view description,
                                             const LocationMap* content) {
  CHECK(pages <= kPagesMax);
  if (description.size() > kDescriptionMax) {
    return invalid("a device's description of " + std::to_string(description.size()) +
                   " bytes is too long");
  }
  const std::string unfinished = path + kUnfinishedSuffix;
  auto file = memory::create_reserved(unfinished, bytes_for(pages));
  FALLOW_TRY(file);
  LocationMap map;
  map.file_ = std::move(*file);
  map.words_ = reinterpret_cast<std::uint64_t*>(map.file_.data() + kPageSize);
  map.pages_ = pages;
  if (content != nullptr) {
    std::memcpy(map.words_, content->words_, bytes_for(content->pages_) - kPageSize);
  }
  auto& header = *reinterpret_cast<MapHeader*>(map.file_.data());
  header = {.magic = kMagic,
            .version = kVersion,
            .pool = pool.value,
            .pages = pages,
            .description_bytes = description.size(),
            .description = {}};
  std::memcpy(header.description, description.data(), description.size());
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) {
    const Error error = failed_errno("cannot rename '" + unfinished + "'", errno);
    ::unlink(unfinished.c_str());
    return error;
  }
  return map;
}

Result<LocationMap> LocationMap::open(const std::string& path) {
  auto file = memory::open_reserved(path);
  FALLOW_TRY(file);
  const bool has_header = file->size() >= kPageSize;
  if (!has_header || header_of(*file).magic != kMagic || header_of(*file).version != kVersion ||
      header_of(*file).pages > kPagesMax || file->size() < bytes_for(header_of(*file).pages) ||
      header_of(*file).description_bytes > kDescriptionMax) {
    return failed("'" + path + "' is no map of a device, or of another version");
  }
  LocationMap map;
  map.file_ = std::move(*file);
  map.words_ = reinterpret_cast<std::uint64_t*>(map.file_.data() + kPageSize);
  map.pages_ = header_of(map.file_).pages;
  return map;
}

PoolId LocationMap::pool() const {
  return PoolId(header_of(file_).pool);
}

std::string LocationMap::description() const {
  const MapHeader& header = header_of(file_);
  return {reinterpret_cast<const char*>(header.description), header.description_bytes};
}

}  // namespace fallow
