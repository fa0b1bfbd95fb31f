// The socket to one front end: whole messages out of a byte stream, never blocking. A peer that
// sends half a message costs nothing but its buffer; descriptors are owned from the moment the
// kernel hands them over.
//
// One thread, the session's.
#pragma once

#include <sys/socket.h>

#include <cstddef>

#include "base/file.h"
#include "frontend/vhost_user/messages.h"

namespace fallow::vhost_user {

class MessageChannel {
 public:
  enum class Event { kMessage, kNothingYet, kClosed };

  // `socket` is a connected Unix stream socket; made non-blocking here.
  explicit MessageChannel(UniqueFd socket);

  // kMessage: message() is whole and stays until next(). An error means that the stream cannot be
  // followed any further.
  Result<Event> receive();
  [[nodiscard]] Message& message() { return message_; }
  // Done with message(): closes the descriptors that nobody took.
  void next();

  // Fails when the peer does not take its replies: none is large enough to fill a socket buffer
  // unless it never reads.
  // `fd`, unless it is -1, goes along.
  Status send(const Reply& reply, int fd = -1);

  [[nodiscard]] int fd() const { return socket_.get(); }
  // Whether the peer has closed its end, even if unread bytes are left.
  [[nodiscard]] bool hung_up() const;
  void close();

 private:
  Result<Event> read_into(std::byte* to, std::size_t want);
  Status take_fds(msghdr& head);
  [[nodiscard]] bool takes_socket() const;

  UniqueFd socket_;
  Message message_;
  std::size_t received_ = 0;  // bytes of header and payload so far
};

}  // namespace fallow::vhost_user
