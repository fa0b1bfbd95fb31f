// Serves a node's operations over gRPC on a Unix socket that only its owner may open.
//
// gRPC replaces whatever socket it finds at its path without asking, so it is never given one: the
// server listens itself and hands gRPC the connections. One daemon a socket: a lock file beside it
// is held for as long as the server lives.
#pragma once

#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/result.h"
#include "node/operations.h"

namespace fallow::node {

class ControlServer {
 public:
  // Connections are accepted on `loop`, calls are answered on threads of gRPC's own. Create and
  // destroy it on the loop's thread; `operations` and `loop` must live longer.
  static Result<std::unique_ptr<ControlServer>> create(const std::string& socket_path,
                                                       EventLoop& loop, Operations& operations);
  // Waits for calls that are under way, a second at most, and removes the socket.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::node
