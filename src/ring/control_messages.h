// Control messages of the ring ABI: made whole, and checked before anything in them is used. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "ring/abi.h"

namespace fallow::ring {

// Which type a message's header names.
template <typename Message>
inline constexpr ControlType kTypeOf{};
template <>
inline constexpr ControlType kTypeOf<Hello> = ControlType::kHello;
template <>
inline constexpr ControlType kTypeOf<Welcome> = ControlType::kWelcome;
template <>
inline constexpr ControlType kTypeOf<OpenQueue> = ControlType::kOpenQueue;
template <>
inline constexpr ControlType kTypeOf<QueueOpened> = ControlType::kQueueOpened;
template <>
inline constexpr ControlType kTypeOf<CloseQueue> = ControlType::kCloseQueue;
template <>
inline constexpr ControlType kTypeOf<Register> = ControlType::kRegister;
template <>
inline constexpr ControlType kTypeOf<Registered> = ControlType::kRegistered;
template <>
inline constexpr ControlType kTypeOf<Unregister> = ControlType::kUnregister;
template <>
inline constexpr ControlType kTypeOf<Done> = ControlType::kDone;
template <>
inline constexpr ControlType kTypeOf<Refused> = ControlType::kRefused;
template <>
inline constexpr ControlType kTypeOf<Keep> = ControlType::kKeep;
template <>
inline constexpr ControlType kTypeOf<Goodbye> = ControlType::kGoodbye;

// All zeros behind a header that is right.
template <typename Message>
Message make_message() {
  static_assert(kTypeOf<Message> != ControlType{} && sizeof(Message) <= kControlBytesMax);
  Message message{};
  message.header = {kMagic, kTypeOf<Message>, sizeof(Message)};
  return message;
}

// `text` is cut where it does not fit.
Refused make_refused(int error, std::string_view text);

// The type of the message that a packet holds: one that exists, of the length that it must have.
Result<ControlType> check_packet(std::span<const std::byte> packet);

// The message in a packet that check_packet() found to be of this type.
template <typename Message>
Message read_message(std::span<const std::byte> packet) {
  Message message;
  std::memcpy(&message, packet.data(), sizeof message);
  return message;
}

// What stands in a Hello beside its versions: the attachment exists, the name ends.
Status check_hello(const Hello& hello);
// Up to the zero; for a Hello that check_hello() has passed.
std::string_view name_of(const Hello& hello);

// The highest version that both sides speak; none when there is none.
std::optional<std::uint16_t> choose_version(std::uint16_t first, std::uint16_t last);

}  // namespace fallow::ring
