// The vhost-user wire format, and the checks on what an untrusted peer wrote in it. Pure functions:
// no I/O, no state. Whatever decodes here is well-formed; whether it makes sense for the export
// (queue numbers, addresses, memory) is for the session to say.
//
// Source: QEMU's docs/interop/vhost-user.rst. Little-endian hosts only, as the structs are copied.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace fallow::vhost_user {

static_assert(std::endian::native == std::endian::little);

enum class RequestType : std::uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kResetOwner = 4,
  kSetMemTable = 5,
  kSetLogBase = 6,
  kSetLogFd = 7,
  kSetVringNum = 8,
  kSetVringAddr = 9,
  kSetVringBase = 10,
  kGetVringBase = 11,
  kSetVringKick = 12,
  kSetVringCall = 13,
  kSetVringErr = 14,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kGetQueueNum = 17,
  kSetVringEnable = 18,
  kSetBackendReqFd = 21,
  kGetConfig = 24,
  kSetConfig = 25,
  kGetInflightFd = 31,
  kSetInflightFd = 32,
  kResetDevice = 34,
  kGetMaxMemSlots = 36,
  kAddMemReg = 37,
  kRemMemReg = 38,
};

// Sent by the back end, on the channel that SET_BACKEND_REQ_FD brings.
enum class BackendRequestType : std::uint32_t { kConfigChange = 2 };

struct Header {
  std::uint32_t request = 0;
  std::uint32_t flags = 0;
  std::uint32_t size = 0;  // of the payload, bytes
};
static_assert(sizeof(Header) == 12);

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kVersionMask = 0x3;
inline constexpr std::uint32_t kFlagReply = 1u << 2;
inline constexpr std::uint32_t kFlagNeedReply = 1u << 3;

inline constexpr std::size_t kFdsMax = 8;
inline constexpr std::size_t kRegionsMax = 8;
inline constexpr std::size_t kConfigSizeMax = 256;

struct Region {
  std::uint64_t guest_address = 0;
  std::uint64_t size = 0;
  std::uint64_t user_address = 0;
  std::uint64_t file_offset = 0;
};
static_assert(sizeof(Region) == 32);

struct MemoryTable {
  std::size_t count = 0;
  std::array<Region, kRegionsMax> regions{};

  [[nodiscard]] std::span<const Region> span() const { return {regions.data(), count}; }
};

struct VringState {
  std::uint32_t index = 0;
  std::uint32_t value = 0;
};
static_assert(sizeof(VringState) == 8);

inline constexpr std::uint32_t kVringFlagLog = 1;  // log what is written to the used ring

// The addresses are the front end's own (`user_address` of the memory table).
struct VringAddress {
  std::uint32_t index = 0;
  std::uint32_t flags = 0;
  std::uint64_t descriptors = 0;
  std::uint64_t used = 0;
  std::uint64_t available = 0;
  std::uint64_t log = 0;  // guest-physical, of the used ring
};
static_assert(sizeof(VringAddress) == 40);

// Of SET_VRING_KICK, CALL and ERR.
struct VringFd {
  std::uint32_t index = 0;
  bool has_fd = false;
};

struct ConfigWindow {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t flags = 0;
};
static_assert(sizeof(ConfigWindow) == 12);

// Of SET_LOG_BASE.
struct LogDescription {
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
};
static_assert(sizeof(LogDescription) == 16);

// Of GET_INFLIGHT_FD and SET_INFLIGHT_FD.
struct InflightDescription {
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  std::uint16_t queues = 0;
  std::uint16_t queue_size = 0;
  std::uint32_t padding = 0;  // which some front ends send and expect
};
static_assert(sizeof(InflightDescription) == 24);
inline constexpr std::size_t kInflightDescriptionSize = offsetof(InflightDescription, padding);

inline constexpr std::size_t kPayloadMax = sizeof(ConfigWindow) + kConfigSizeMax;
static_assert(kPayloadMax >= 8 + kRegionsMax * sizeof(Region));

// A message as received. Owns its file descriptors: what a handler does not move out is closed.
struct Message {
  Header header;
  std::array<std::byte, kPayloadMax> bytes{};
  std::vector<UniqueFd> fds;

  [[nodiscard]] RequestType type() const { return static_cast<RequestType>(header.request); }
  [[nodiscard]] bool wants_ack() const { return (header.flags & kFlagNeedReply) != 0; }
  [[nodiscard]] std::span<const std::byte> payload() const { return {bytes.data(), header.size}; }
};

// What must hold before a payload is read at all. Without it the stream cannot be followed further.
Status check_header(const Header& header);

// Whether the request is known and brings the payload size and the number of descriptors that it
// must bring.
Status check_shape(const Header& header, std::size_t fds);

// Whether the request is answered by a message of its own, so that no acknowledgement is sent.
bool has_own_reply(RequestType type);

// Decoders of payloads whose message has passed check_shape().
std::uint64_t decode_u64(const Message& message);
VringState decode_vring_state(const Message& message);
VringAddress decode_vring_address(const Message& message);
Result<VringFd> decode_vring_fd(const Message& message);
Result<MemoryTable> decode_memory_table(const Message& message);
Result<ConfigWindow> decode_config_window(const Message& message);
InflightDescription decode_inflight(const Message& message);
LogDescription decode_log(const Message& message);
Region decode_single_region(const Message& message);

// A reply to `request`, header and payload.
struct Reply {
  std::array<std::byte, sizeof(Header) + kPayloadMax> bytes{};
  std::size_t size = 0;

  [[nodiscard]] std::span<const std::byte> span() const { return {bytes.data(), size}; }
};
// A request of the back end's without payload, to which no answer is wanted.
Reply make_backend_request(BackendRequestType type);
Reply make_reply(const Header& request, std::span<const std::byte> payload);
Reply make_reply_u64(const Header& request, std::uint64_t value);

}  // namespace fallow::vhost_user
