#include "vmm_pager/handshake.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/passed_descriptors.h"
#include "base/units.h"

namespace fallow::vmm_pager {
namespace {

using nlohmann::json;

// Of a process on x86-64, with five levels of page tables too.
constexpr std::uint64_t kAddressEnd = std::uint64_t{1} << 56;
constexpr std::size_t kDescriptorsMost = 8;
constexpr std::uint64_t kNsPerMs = 1'000'000;

Result<std::uint64_t> number(const json& object, const char* field) {
  const auto at = object.find(field);
  if (at == object.end()) {
    return invalid(std::string("a mapping has no '") + field + "'");
  }
  if (!at->is_number_unsigned()) {
    return invalid(std::string("'") + field + "' of a mapping is not a whole number from 0 up");
  }
  return at->get<std::uint64_t>();
}

// Some VMMs give the bytes under the name of the KiB, and the oldest say nothing.
Status check_page_size(const json& object) {
  for (const char* field : {"page_size", "page_size_kib"}) {
    if (!object.contains(field)) {
      continue;
    }
    const auto size = number(object, field);
    FALLOW_TRY(size);
    const bool kib = std::strcmp(field, "page_size_kib") == 0 && *size == kPageSize / 1024;
    if (*size != kPageSize && !kib) {
      return invalid(std::string("'") + field + "' is " + std::to_string(*size) +
                     ": only pages of 4096 bytes are paged; start the VM without huge pages");
    }
  }
  return {};
}

Result<GuestMapping> read_mapping(const json& object) {
  if (!object.is_object()) {
    return invalid("a mapping is not an object");
  }
  for (const auto& [field, value] : object.items()) {
    if (field != "base_host_virt_addr" && field != "size" && field != "offset" &&
        field != "page_size" && field != "page_size_kib") {
      return invalid("a mapping has an unknown field '" + field.substr(0, 40) + "'");
    }
  }
  const auto address = number(object, "base_host_virt_addr");
  FALLOW_TRY(address);
  const auto size = number(object, "size");
  FALLOW_TRY(size);
  const auto offset = number(object, "offset");
  FALLOW_TRY(offset);
  FALLOW_TRY(check_page_size(object));
  if (*size == 0 || (*address | *size | *offset) % kPageSize != 0) {
    return invalid("a mapping is empty, or not of whole pages of 4096 bytes");
  }
  if (*address == 0 || *size > kAddressEnd || *address > kAddressEnd - *size ||
      *offset > kAddressEnd - *size) {
    return invalid("a mapping is larger than an address space");
  }
  return GuestMapping{*address, *size, *offset};
}

// By where each begins: `begin` is one of its members.
Status check_apart(std::vector<GuestMapping> mappings, std::uint64_t GuestMapping::*begin,
                   const char* where) {
  std::sort(mappings.begin(), mappings.end(),
            [begin](const GuestMapping& a, const GuestMapping& b) { return a.*begin < b.*begin; });
  for (std::size_t i = 1; i < mappings.size(); ++i) {
    if (mappings[i - 1].*begin + mappings[i - 1].bytes > mappings[i].*begin) {
      return invalid(std::string("two mappings overlap in the ") + where);
    }
  }
  return {};
}

// nullopt: it may go on.
Result<std::optional<json>> parse_whole(std::string_view text) {
  try {
    return std::optional(json::parse(text));
  } catch (const json::parse_error& error) {
    if (error.byte > text.size()) {
      return std::optional<json>();
    }
  } catch (const json::exception&) {
  }
  return invalid("what came is not JSON");
}

Result<std::vector<GuestMapping>> read_mappings(const json& whole) {
  if (!whole.is_array() || whole.empty()) {
    return invalid("what came is not an array of mappings");
  }
  std::vector<GuestMapping> mappings;
  for (const json& one : whole) {
    const auto mapping = read_mapping(one);
    FALLOW_TRY(mapping);
    mappings.push_back(*mapping);
  }
  FALLOW_TRY(check_apart(mappings, &GuestMapping::address, "VMM's memory"));
  FALLOW_TRY(check_apart(mappings, &GuestMapping::offset, "file"));
  return mappings;
}

struct Received {
  std::string text;
  std::vector<UniqueFd> descriptors;
};

Status receive_some(int socket, Received& received) {
  char buffer[4096];
  PassedDescriptors<kDescriptorsMost> along;
  iovec vector{buffer, sizeof buffer};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  along.expect(message);
  const ssize_t bytes = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (bytes < 0) {
    return errno == EAGAIN || errno == EINTR ? Status()
                                             : Status(failed_errno("cannot receive", errno));
  }
  take_descriptors(message, [&](UniqueFd one) { received.descriptors.push_back(std::move(one)); });
  if (bytes == 0) {
    return invalid("the connection was closed before a whole message had come");
  }
  received.text.append(buffer, static_cast<std::size_t>(bytes));
  if (received.text.size() > kHandshakeBytesMax) {
    return invalid("the message is longer than " + std::to_string(kHandshakeBytesMax) + " bytes");
  }
  if (received.descriptors.size() > 1 || (message.msg_flags & MSG_CTRUNC) != 0) {
    return invalid("more than one descriptor came: there is one userfaultfd for all mappings");
  }
  return {};
}

Result<Handshake> conclude(const json& whole, Received& received) {
  const auto mappings = read_mappings(whole);
  FALLOW_TRY(mappings);
  if (received.descriptors.empty()) {
    return invalid("no userfaultfd came with the mappings");
  }
  Result<pager::UserFault> faults = pager::UserFault::adopt(std::move(received.descriptors[0]));
  FALLOW_TRY(faults);
  return Handshake{*mappings, std::move(*faults)};
}

}  // namespace

Result<std::vector<GuestMapping>> parse_handshake(std::string_view text) {
  const auto whole = parse_whole(text);
  FALLOW_TRY(whole);
  return *whole ? read_mappings(**whole) : invalid("what came is not all of a JSON text");
}

Status check_within(const std::vector<GuestMapping>& mappings, std::uint64_t file_bytes) {
  for (const GuestMapping& one : mappings) {
    if (one.offset + one.bytes > file_bytes) {
      return invalid("a mapping ends at byte " + std::to_string(one.offset + one.bytes) +
                     " of a file that has " + std::to_string(file_bytes) +
                     ": is --mem the file of this VM?");
    }
  }
  return {};
}

Result<Handshake> receive_handshake(int socket, int timeout_ms) {
  const SystemClock clock;
  const std::uint64_t until_ns = clock.now_ns() + static_cast<std::uint64_t>(timeout_ms) * kNsPerMs;
  Received received;
  for (;;) {
    const std::uint64_t now_ns = clock.now_ns();
    pollfd ready{socket, POLLIN, 0};
    if (now_ns >= until_ns ||
        ::poll(&ready, 1, static_cast<int>((until_ns - now_ns) / kNsPerMs) + 1) == 0) {
      return invalid("no whole message came in time");
    }
    FALLOW_TRY(receive_some(socket, received));
    if (received.text.empty()) {
      continue;
    }
    const auto whole = parse_whole(received.text);
    FALLOW_TRY(whole);
    if (*whole) {
      return conclude(**whole, received);
    }
  }
}

}  // namespace fallow::vmm_pager
