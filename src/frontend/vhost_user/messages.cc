#include "frontend/vhost_user/messages.h"

#include <cstring>

#include "base/check.h"

namespace fallow::vhost_user {
namespace {

constexpr std::uint64_t kVringIndexMask = 0xff;
constexpr std::uint64_t kVringNoFd = 1u << 8;
constexpr std::size_t kTableHead = 8;  // count and padding

// The bounds of one request's payload and descriptors.
struct Shape {
  RequestType type;
  std::size_t size_min;
  std::size_t size_max;
  std::size_t fds_max;
  bool own_reply;
};

constexpr Shape kShapes[] = {
    {RequestType::kGetFeatures, 0, 0, 0, true},
    {RequestType::kSetFeatures, 8, 8, 0, false},
    {RequestType::kSetOwner, 0, 0, 0, false},
    {RequestType::kResetOwner, 0, 0, 0, false},
    {RequestType::kSetMemTable, kTableHead + sizeof(Region),
     kTableHead + kRegionsMax * sizeof(Region), kFdsMax, false},
    {RequestType::kSetLogBase, sizeof(LogDescription), sizeof(LogDescription), 1, true},
    {RequestType::kSetLogFd, 0, 8, 1, false},
    {RequestType::kSetVringNum, sizeof(VringState), sizeof(VringState), 0, false},
    {RequestType::kSetVringAddr, sizeof(VringAddress), sizeof(VringAddress), 0, false},
    {RequestType::kSetVringBase, sizeof(VringState), sizeof(VringState), 0, false},
    {RequestType::kGetVringBase, sizeof(VringState), sizeof(VringState), 0, true},
    {RequestType::kSetVringKick, 8, 8, 1, false},
    {RequestType::kSetVringCall, 8, 8, 1, false},
    {RequestType::kSetVringErr, 8, 8, 1, false},
    {RequestType::kGetProtocolFeatures, 0, 0, 0, true},
    {RequestType::kSetProtocolFeatures, 8, 8, 0, false},
    {RequestType::kGetQueueNum, 0, 0, 0, true},
    {RequestType::kSetVringEnable, sizeof(VringState), sizeof(VringState), 0, false},
    {RequestType::kSetBackendReqFd, 0, 0, 1, false},
    {RequestType::kGetConfig, sizeof(ConfigWindow), kPayloadMax, 0, true},
    {RequestType::kSetConfig, sizeof(ConfigWindow), kPayloadMax, 0, false},
    {RequestType::kGetInflightFd, kInflightDescriptionSize, sizeof(InflightDescription), 0, true},
    {RequestType::kSetInflightFd, kInflightDescriptionSize, sizeof(InflightDescription), 1, false},
    {RequestType::kResetDevice, 0, 0, 0, false},
    {RequestType::kGetMaxMemSlots, 0, 0, 0, true},
    {RequestType::kAddMemReg, kTableHead + sizeof(Region), kTableHead + sizeof(Region), 1, false},
    {RequestType::kRemMemReg, kTableHead + sizeof(Region), kTableHead + sizeof(Region), 1, false},
};

const Shape* find_shape(std::uint32_t request) {
  for (const Shape& shape : kShapes) {
    if (static_cast<std::uint32_t>(shape.type) == request) {
      return &shape;
    }
  }
  return nullptr;
}

template <typename T>
T copy_out(const Message& message, std::size_t offset = 0) {
  T value{};
  CHECK(offset + sizeof value <= message.bytes.size());
  std::memcpy(&value, message.bytes.data() + offset, sizeof value);
  return value;
}

std::string named(std::uint32_t request) {
  return "vhost-user request " + std::to_string(request);
}

}  // namespace

Status check_header(const Header& header) {
  if ((header.flags & kVersionMask) != kVersion) {
    return invalid(named(header.request) + " has an unknown protocol version");
  }
  if ((header.flags & kFlagReply) != 0) {
    return invalid(named(header.request) + " is marked as a reply, but nothing was asked");
  }
  if (header.size > kPayloadMax) {
    return invalid(named(header.request) + " has a payload of " + std::to_string(header.size) +
                   " bytes; " + std::to_string(kPayloadMax) + " are the most");
  }
  return {};
}

Status check_shape(const Header& header, std::size_t fds) {
  const Shape* shape = find_shape(header.request);
  if (shape == nullptr) {
    return invalid(named(header.request) + " is not implemented");
  }
  if (header.size < shape->size_min || header.size > shape->size_max) {
    return invalid(named(header.request) + " has a payload of " + std::to_string(header.size) +
                   " bytes where " + std::to_string(shape->size_min) + " to " +
                   std::to_string(shape->size_max) + " belong");
  }
  if (fds > shape->fds_max) {
    return invalid(named(header.request) + " brings " + std::to_string(fds) +
                   " file descriptors; " + std::to_string(shape->fds_max) + " are the most");
  }
  return {};
}

bool has_own_reply(RequestType type) {
  const Shape* shape = find_shape(static_cast<std::uint32_t>(type));
  return shape != nullptr && shape->own_reply;
}

std::uint64_t decode_u64(const Message& message) {
  return copy_out<std::uint64_t>(message);
}

VringState decode_vring_state(const Message& message) {
  return copy_out<VringState>(message);
}

VringAddress decode_vring_address(const Message& message) {
  return copy_out<VringAddress>(message);
}

Result<VringFd> decode_vring_fd(const Message& message) {
  const auto word = decode_u64(message);
  VringFd result;
  result.index = static_cast<std::uint32_t>(word & kVringIndexMask);
  result.has_fd = (word & kVringNoFd) == 0;
  if ((word & ~(kVringIndexMask | kVringNoFd)) != 0) {
    return invalid(named(message.header.request) + " has unknown bits");
  }
  if (message.fds.size() != (result.has_fd ? 1u : 0u)) {
    return invalid(named(message.header.request) + " does not bring the descriptor it announces");
  }
  return result;
}

Result<MemoryTable> decode_memory_table(const Message& message) {
  MemoryTable table;
  table.count = copy_out<std::uint32_t>(message);
  if (table.count == 0 || table.count > kRegionsMax) {
    return invalid("memory table has " + std::to_string(table.count) + " regions; 1 to " +
                   std::to_string(kRegionsMax) + " are taken");
  }
  if (message.header.size != kTableHead + table.count * sizeof(Region) ||
      message.fds.size() != table.count) {
    return invalid("memory table's size and descriptors do not match its number of regions");
  }
  for (std::size_t i = 0; i < table.count; ++i) {
    table.regions[i] = copy_out<Region>(message, kTableHead + i * sizeof(Region));
  }
  return table;
}

Result<ConfigWindow> decode_config_window(const Message& message) {
  const auto window = copy_out<ConfigWindow>(message);
  if (window.offset > kConfigSizeMax || window.size > kConfigSizeMax - window.offset) {
    return invalid("configuration window reaches past " + std::to_string(kConfigSizeMax) +
                   " bytes");
  }
  if (message.header.size != sizeof window + window.size) {
    return invalid("configuration window's size does not match its payload");
  }
  return window;
}

InflightDescription decode_inflight(const Message& message) {
  auto result = copy_out<InflightDescription>(message);
  result.padding = 0;
  return result;
}

LogDescription decode_log(const Message& message) {
  return copy_out<LogDescription>(message);
}

Region decode_single_region(const Message& message) {
  return copy_out<Region>(message, kTableHead);
}

Reply make_backend_request(BackendRequestType type) {
  Header header;
  header.request = static_cast<std::uint32_t>(type);
  header.flags = kVersion;
  Reply reply;
  std::memcpy(reply.bytes.data(), &header, sizeof header);
  reply.size = sizeof header;
  return reply;
}

Reply make_reply(const Header& request, std::span<const std::byte> payload) {
  CHECK(payload.size() <= kPayloadMax);
  Header header;
  header.request = request.request;
  header.flags = kVersion | kFlagReply;
  header.size = static_cast<std::uint32_t>(payload.size());
  Reply reply;
  std::memcpy(reply.bytes.data(), &header, sizeof header);
  if (!payload.empty()) {
    std::memcpy(reply.bytes.data() + sizeof header, payload.data(), payload.size());
  }
  reply.size = sizeof header + payload.size();
  return reply;
}

Reply make_reply_u64(const Header& request, std::uint64_t value) {
  return make_reply(request, std::as_bytes(std::span(&value, 1)));
}

}  // namespace fallow::vhost_user
