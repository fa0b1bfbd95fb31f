// The pager's side of the conversation with the programs that it pages (protocol.h): processes come
// by a socket, hand over their userfaultfds, and tell what they do to their memory.
//
// Any thread; processes are served on a thread of the server's own.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "base/event_loop.h"
#include "base/file.h"
#include "base/result.h"
#include "pager/pager.h"
#include "run/protocol.h"

namespace fallow::run {

class Server {
 public:
  // Listens at `path`, for processes of this user. `pager` outlives the server.
  static Result<std::unique_ptr<Server>> open(pager::Pager& pager, const std::string& path);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Processes that have come so far.
  [[nodiscard]] std::uint64_t processes() const { return processes_; }

 private:
  struct Connection;
  struct Arrival;

  explicit Server(pager::Pager& pager);
  Status start(const std::string& path);
  void accept();
  void serve(Connection& connection);
  std::int64_t answer(Connection& connection, Arrival& arrival, int& give);
  std::int64_t start_process(Connection& connection, Arrival& arrival);
  std::int64_t forked_process(Connection& connection, Arrival& arrival, int& give);
  std::int64_t change(pager::Pager::SpaceId space, const Request& request);
  void close(int socket);

  pager::Pager& pager_;
  UniqueFd listener_;
  std::unique_ptr<EventLoop> loop_;
  std::map<int, std::unique_ptr<Connection>> connections_;  // by socket; the loop's
  std::map<pid_t, pager::Pager::SpaceId> spaces_;           // the loop's
  std::atomic<std::uint64_t> processes_{0};
  std::thread thread_;
};

}  // namespace fallow::run
