#include "run/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/log.h"
#include "base/passed_descriptors.h"
#include "base/units.h"
#include "run/process_memory.h"

namespace fallow::run {
namespace {

constexpr std::uint64_t kLookNs = 500'000'000;
constexpr std::uint64_t kAddressesEnd = std::uint64_t{1} << 47;
constexpr std::size_t kDescriptorsMost = 2;
constexpr int kBacklog = 64;

bool sensible(const Request& request) {
  return request.begin % kPageSize == 0 && request.bytes % kPageSize == 0 &&
         request.bytes <= kAddressesEnd && request.begin <= kAddressesEnd - request.bytes;
}

}  // namespace

struct Server::Connection {
  UniqueFd socket;
  pid_t process = 0;
  std::optional<pager::Pager::SpaceId> space;
};

// A request and what came with it.
struct Server::Arrival {
  Request request{};
  UniqueFd descriptors[kDescriptorsMost];
  std::size_t count = 0;

  enum class Event { kNothingYet, kRequest, kEnd };  // kEnd: or what came is not of ours
  Event receive(int socket) {
    iovec in{&request, sizeof request};
    PassedDescriptors<kDescriptorsMost> along;
    msghdr message{};
    message.msg_iov = &in;
    message.msg_iovlen = 1;
    along.expect(message);
    const ssize_t bytes = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (bytes < 0) {
      return errno == EAGAIN || errno == EINTR ? Event::kNothingYet : Event::kEnd;
    }
    take_descriptors(message, [this](UniqueFd one) {
      if (count < kDescriptorsMost) {
        descriptors[count++] = std::move(one);
      }
    });
    const bool whole =
        bytes == sizeof request && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    return whole ? Event::kRequest : Event::kEnd;
  }
};

Server::Server(pager::Pager& pager) : pager_(pager) {}

Result<std::unique_ptr<Server>> Server::open(pager::Pager& pager, const std::string& path) {
  std::unique_ptr<Server> server(new Server(pager));
  FALLOW_TRY(server->start(path));
  return server;
}

Status Server::start(const std::string& path) {
  Result<UniqueFd> listener = listen_unix(path, kBacklog, UnixSocket::kSeqpacket);
  FALLOW_TRY(listener);
  listener_ = std::move(*listener);
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  FALLOW_TRY(loop);
  loop_ = std::move(*loop);
  FALLOW_TRY(loop_->watch(listener_.get(), [this] { accept(); }));
  FALLOW_TRY(loop_->every_ns(kLookNs, [this] { pager_.look_after_spaces(); }));
  Result<std::thread> thread = run_on_thread(*loop_, "run-server");
  FALLOW_TRY(thread);
  thread_ = std::move(*thread);
  return {};
}

Server::~Server() {
  if (thread_.joinable()) {
    loop_->stop();
    thread_.join();
  }
}

void Server::accept() {
  for (;;) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      return;
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
      continue;
    }
    const int fd = socket.get();
    auto made = std::make_unique<Connection>();
    made->socket = std::move(socket);
    made->process = peer.pid;
    Connection& connection = *made;
    connections_[fd] = std::move(made);
    if (!loop_->watch(fd, [this, &connection] { serve(connection); })) {
      connections_.erase(fd);
    }
  }
}

void Server::close(int socket) {
  loop_->unwatch(socket);
  loop_->soon([this, socket] { connections_.erase(socket); });
  pager_.look_after_spaces();
}

void Server::serve(Connection& connection) {
  Arrival arrival;
  switch (arrival.receive(connection.socket.get())) {
    case Arrival::Event::kNothingYet:
      return;
    case Arrival::Event::kEnd:
      close(connection.socket.get());
      return;
    case Arrival::Event::kRequest:
      break;
  }
  int give = -1;
  const Reply reply{answer(connection, arrival, give)};
  iovec out{const_cast<Reply*>(&reply), sizeof reply};
  PassedDescriptors<1> along;
  msghdr message{};
  message.msg_iov = &out;
  message.msg_iovlen = 1;
  along.give(message, {&give, give >= 0 ? 1u : 0u});
  if (::sendmsg(connection.socket.get(), &message, MSG_NOSIGNAL) != sizeof reply) {
    close(connection.socket.get());
  }
}

std::int64_t Server::start_process(Connection& connection, Arrival& arrival) {
  if (arrival.count != 2) {
    return -EINVAL;
  }
  Result<pager::UserFault> faults = pager::UserFault::adopt(std::move(arrival.descriptors[0]));
  Result<std::unique_ptr<ProcessMemory>> memory =
      ProcessMemory::open(connection.process, arrival.descriptors[1].get());
  if (!faults || !memory) {
    log_error("run_process_refused", {{"pid", connection.process},
                                      {"detail", (faults ? memory.error() : faults.error()).text}});
    return -EINVAL;
  }
  pager_.look_after_spaces();  // what this process was before
  const auto space = pager_.add_space(std::move(*faults), std::move(*memory), false);
  if (!space) {
    log_error("run_process_refused", {{"pid", connection.process}, {"detail", space.error().text}});
    return -EMFILE;
  }
  connection.space = *space;
  spaces_[connection.process] = *space;
  ++processes_;
  return 0;
}

std::int64_t Server::forked_process(Connection& connection, Arrival& arrival, int& give) {
  if (arrival.count != 1) {
    return -EINVAL;
  }
  Result<std::unique_ptr<ProcessMemory>> memory =
      ProcessMemory::open(connection.process, arrival.descriptors[0].get());
  if (!memory) {
    log_error("run_process_refused",
              {{"pid", connection.process}, {"detail", memory.error().text}});
    return -EPERM;
  }
  connection.space = pager_.adopt_fork(arrival.request.thread, std::move(*memory));
  if (!connection.space) {
    return -ESRCH;
  }
  spaces_[connection.process] = *connection.space;
  give = pager_.descriptor(*connection.space);
  ++processes_;
  return 0;
}

std::int64_t Server::answer(Connection& connection, Arrival& arrival, int& give) {
  switch (arrival.request.operation) {
    case Operation::kStart:
      return start_process(connection, arrival);
    case Operation::kForked:
      return forked_process(connection, arrival, give);
    case Operation::kAgain: {
      const auto known = spaces_.find(connection.process);
      if (known == spaces_.end()) {
        return -ESRCH;
      }
      connection.space = known->second;
      return 0;
    }
    default:
      break;
  }
  if (!connection.space || !pager_.has_space(*connection.space) || !sensible(arrival.request)) {
    return -EINVAL;
  }
  return change(*connection.space, arrival.request);
}

std::int64_t Server::change(pager::Pager::SpaceId space, const Request& request) {
  const std::uint64_t pages = request.bytes / kPageSize;
  switch (request.operation) {
    case Operation::kWatch: {
      pager_.forget(space, request.begin, pages);  // what was there has gone without a word
      const Status added = pager_.watch(space, request.begin, pages);
      if (!added) {
        log_warning("run_memory_left_alone", {{"detail", added.error().text}});
      }
      return added ? 0 : -EINVAL;
    }
    case Operation::kForget:
      return pager_.forget(space, request.begin, pages) ? 1 : 0;
    case Operation::kDiscard:
      return pager_.discard(space, request.begin, pages) ? 1 : 0;
    case Operation::kLetGo:
      if (!pager_.watches(space, request.begin, pages)) {
        return 0;
      }
      return pager_.let_go(space, request.begin, pages) ? 1 : -ENOMEM;
    case Operation::kWatches:
      return pager_.watches(space, request.begin, pages) ? 1 : 0;
    case Operation::kHold:
      return pager_.hold(space) ? 0 : -ENOMEM;
    case Operation::kRelease:
      return pager_.release(space) ? 0 : -EINVAL;
    default:
      return -EINVAL;
  }
}

}  // namespace fallow::run
