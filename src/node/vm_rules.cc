#include "node/vm_rules.h"

#include <climits>
#include <string>

#include "base/text.h"
#include "base/units.h"
#include "node/quota_rules.h"

namespace fallow::node {

Result<std::uint64_t> parse_vm_size(std::string_view text) {
  const Result<std::uint64_t> bytes = parse_size(text);
  FALLOW_TRY(bytes);
  FALLOW_TRY(check_vm_size(*bytes));
  return bytes;
}

Status check_vm_size(std::uint64_t bytes) {
  if (bytes == 0 || bytes % kPageSize != 0) {
    return invalid("size " + std::to_string(bytes) + " must be a multiple of " +
                   std::to_string(kPageSize) + " bytes and more than none");
  }
  if (bytes > kVmBytesMax) {
    return invalid("size " + format_size(bytes) + " is more than " + format_size(kVmBytesMax) +
                   ", the largest disk that a VM may have");
  }
  return {};
}

Status check_vm_request(const VmRequest& request) {
  FALLOW_TRY(check_name(request.name));
  FALLOW_TRY(check_vm_size(request.size_bytes));
  if (!request.backing_path.empty()) {
    FALLOW_TRY(check_path(request.backing_path));
  }
  return check_quota_request(request.quota);
}

Result<tmem::Compression> parse_compression(std::string_view text) {
  for (const auto known : {tmem::Compression::kOff, tmem::Compression::kLz4}) {
    if (text == compression_name(known)) {
      return known;
    }
  }
  return invalid("'" + std::string(text.substr(0, 80)) + "' must be \"lz4\" or \"off\"");
}

std::string compression_name(tmem::Compression compression) {
  return compression == tmem::Compression::kLz4 ? "lz4" : "off";
}

Status check_path(std::string_view path) {
  if (path.empty() || path[0] != '/' || path.size() >= PATH_MAX ||
      path.find('\0') != std::string_view::npos) {
    return invalid("path '" + std::string(path.substr(0, 80)) +
                   "' must be absolute: start it with '/'");
  }
  return {};
}

}  // namespace fallow::node
