// The socket to one client: whole packets and the file descriptors that come with them, never
// blocking. One thread, whoever serves the connection.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "ring/control_messages.h"

namespace fallow::ring {

// What a client is told an error is.
int errno_of(ErrorCode code);

class ControlChannel {
 public:
  enum class Event { kPacket, kNothingYet, kClosed };

  // `socket` is a connected SOCK_SEQPACKET Unix socket; made non-blocking here.
  explicit ControlChannel(UniqueFd socket);

  // kPacket: type(), read() and fd() speak of it until the next call. An error: what came is no
  // message of the ABI, or brings descriptors that it must not.
  Result<Event> receive();
  [[nodiscard]] ControlType type() const { return type_; }
  template <typename Message>
  [[nodiscard]] Message read() const {
    return read_message<Message>(std::span(bytes_));
  }
  [[nodiscard]] int fd_received() const { return received_fd_.get(); }
  void close_received() { received_fd_.reset(); }

  // Fails when the client does not read: no answer is large enough to fill a socket otherwise.
  template <typename Message>
  Status send(const Message& message, std::span<const int> fds = {}) {
    return send_bytes(std::as_bytes(std::span(&message, 1)), fds);
  }

  [[nodiscard]] int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }
  UniqueFd release() { return std::move(socket_); }

 private:
  Status send_bytes(std::span<const std::byte> bytes, std::span<const int> fds);

  UniqueFd socket_;
  std::array<std::byte, kControlBytesMax> bytes_{};
  ControlType type_{};
  UniqueFd received_fd_;
};

}  // namespace fallow::ring
