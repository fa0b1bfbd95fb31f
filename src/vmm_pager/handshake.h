// What a VMM says to whom it gives the faults of its guest's memory: Firecracker's one message, an
// array of mappings in JSON with the userfaultfd beside it. Nothing of it is believed.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pager/userfault.h"

namespace fallow::vmm_pager {

inline constexpr std::size_t kHandshakeBytesMax = std::size_t{64} << 10;

struct GuestMapping {
  std::uint64_t address = 0;  // in the VMM
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;  // in the file
};

// [{"base_host_virt_addr":N,"size":N,"offset":N,"page_size":4096}, ...]: whole pages that do not
// overlap, neither in the VMM nor in the file.
Result<std::vector<GuestMapping>> parse_handshake(std::string_view json);

// All of them lie in a file of so many bytes.
Status check_within(const std::vector<GuestMapping>& mappings, std::uint64_t file_bytes);

struct Handshake {
  std::vector<GuestMapping> mappings;
  pager::UserFault faults;
};

// Waits so long at most for all of it.
Result<Handshake> receive_handshake(int socket, int timeout_ms);

}  // namespace fallow::vmm_pager
