// What a VM may be called and how large its disk may be: the same rules for the configuration, the
// command line and the daemon.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "node/views.h"

namespace fallow::node {

inline constexpr std::uint64_t kVmBytesMax = std::uint64_t{16} << 40;
inline constexpr std::size_t kVmsMax = 1024;

// "384M" to bytes: whole pages, more than none, no more than kVmBytesMax.
Result<std::uint64_t> parse_vm_size(std::string_view text);
Status check_vm_size(std::uint64_t bytes);
// Name, size and path as they stand, without a look at the file system.
Status check_vm_request(const VmRequest& request);
// "off" or "lz4".
Result<tmem::Compression> parse_compression(std::string_view text);
std::string compression_name(tmem::Compression compression);
// Absolute, so that it means the same to every process.
Status check_path(std::string_view path);

}  // namespace fallow::node
