#include "ring/control_messages.h"

#include <algorithm>

namespace fallow::ring {
namespace {

// 0: there is no such type.
std::size_t bytes_of(ControlType type) {
  switch (type) {
    case ControlType::kHello:
      return sizeof(Hello);
    case ControlType::kWelcome:
      return sizeof(Welcome);
    case ControlType::kOpenQueue:
      return sizeof(OpenQueue);
    case ControlType::kQueueOpened:
      return sizeof(QueueOpened);
    case ControlType::kCloseQueue:
      return sizeof(CloseQueue);
    case ControlType::kRegister:
      return sizeof(Register);
    case ControlType::kRegistered:
      return sizeof(Registered);
    case ControlType::kUnregister:
      return sizeof(Unregister);
    case ControlType::kDone:
      return sizeof(Done);
    case ControlType::kRefused:
      return sizeof(Refused);
    case ControlType::kKeep:
      return sizeof(Keep);
    case ControlType::kGoodbye:
      return sizeof(Goodbye);
  }
  return 0;
}

}  // namespace

Refused make_refused(int error, std::string_view text) {
  auto refused = make_message<Refused>();
  refused.error = error;
  std::memcpy(refused.text, text.data(), std::min(text.size(), sizeof refused.text - 1));
  return refused;
}

Result<ControlType> check_packet(std::span<const std::byte> packet) {
  if (packet.size() < sizeof(ControlHeader)) {
    return invalid("a control message is shorter than its header");
  }
  const auto header = read_message<ControlHeader>(packet);
  if (header.magic != kMagic) {
    return invalid("a control message does not begin with the magic number");
  }
  if (header.bytes != packet.size() || bytes_of(header.type) != packet.size()) {
    return invalid("control message " + std::to_string(static_cast<unsigned>(header.type)) +
                   " of " + std::to_string(packet.size()) + " bytes does not exist");
  }
  return header.type;
}

Status check_hello(const Hello& hello) {
  if (hello.attach != Attach::kPages && hello.attach != Attach::kDisk) {
    return invalid("a client attaches to pages (1) or to a disk (2), not to " +
                   std::to_string(static_cast<unsigned>(hello.attach)));
  }
  if (std::memchr(hello.name, 0, sizeof hello.name) == nullptr) {
    return invalid("the client's name has no end");
  }
  return {};
}

std::string_view name_of(const Hello& hello) {
  return {hello.name, ::strnlen(hello.name, sizeof hello.name)};
}

std::optional<std::uint16_t> choose_version(std::uint16_t first, std::uint16_t last) {
  const std::uint16_t highest = std::min(last, kVersionLast);
  const bool spoken = first <= last && highest >= kVersionFirst && highest >= first;
  return spoken ? std::optional(highest) : std::nullopt;
}

}  // namespace fallow::ring
