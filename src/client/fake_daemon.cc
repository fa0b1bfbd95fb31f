#include "client/fake_daemon.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/passed_descriptors.h"
#include "ring/control_messages.h"
#include "ring/queue_pair.h"

namespace fallow::client {
namespace {

constexpr ring::Secret kSecret{{17, 4}};

void send_message(int socket, const void* message, std::size_t bytes,
                  const std::vector<int>& files) {
  iovec part{const_cast<void*>(message), bytes};
  PassedDescriptors<2> along;
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  along.give(header, files);
  ::sendmsg(socket, &header, MSG_NOSIGNAL);
}

void refuse(int socket, int error, const char* text) {
  const ring::Refused refused = ring::make_refused(error, text);
  send_message(socket, &refused, sizeof refused, {});
}

UniqueFd file_of(msghdr& header) {
  UniqueFd file;
  take_descriptors(header, [&file](UniqueFd one) { file = std::move(one); });
  return file;
}

}  // namespace

struct FakeDaemon::Peer {
  UniqueFd socket;
  bool disk = false;
  std::vector<Mapping> regions;                          // token - 1
  std::vector<std::unique_ptr<ring::QueuePair>> queues;  // nullptr: closed

  std::byte* find(const ring::Submission& entry) const {
    if (entry.token == 0 || entry.token > regions.size()) {
      return nullptr;
    }
    const Mapping& region = regions[entry.token - 1];
    return region.data() != nullptr && entry.address + entry.length <= region.size()
               ? region.data() + entry.address
               : nullptr;
  }
};

FakeDaemon::FakeDaemon(std::string socket, State& state)
    : FakeDaemon(std::move(socket), state, Settings{}) {}

FakeDaemon::FakeDaemon(std::string socket, State& state, const Settings& settings)
    : socket_(std::move(socket)), state_(state), settings_(settings) {
  auto listener = listen_unix(socket_, 16, UnixSocket::kSeqpacket);
  CHECK(listener.ok());
  listener_ = std::move(*listener);
  thread_ = std::thread([this] { serve(); });
}

FakeDaemon::~FakeDaemon() {
  stopping_ = true;
  thread_.join();
  ::unlink(socket_.c_str());
}

void FakeDaemon::serve() {
  while (!stopping_ && !dead_) {
    accept_peers();
    bool busy = false;
    for (auto& peer : peers_) {
      busy = serve_peer(*peer) || busy;
    }
    std::erase_if(peers_, [](const auto& peer) { return !peer->socket.valid(); });
    if (!busy) {
      std::this_thread::yield();
    }
  }
  die();
}

void FakeDaemon::die() {
  listener_.reset();
  peers_.clear();
  dead_ = true;
}

void FakeDaemon::accept_peers() {
  UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket.valid()) {
    peers_.push_back(std::make_unique<Peer>());
    peers_.back()->socket = std::move(socket);
  }
}

bool FakeDaemon::serve_peer(Peer& peer) {
  return answer(peer) || (peer.socket.valid() && !dead_ && work(peer));
}

// Whether there was a message.
bool FakeDaemon::answer(Peer& peer) {
  std::byte packet[ring::kControlBytesMax];
  PassedDescriptors<1> passed;
  iovec part{packet, sizeof packet};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  passed.expect(header);
  const ssize_t got = ::recvmsg(peer.socket.get(), &header, MSG_CMSG_CLOEXEC);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) {
      peer.socket.reset();
    }
    return false;
  }
  UniqueFd file = file_of(header);
  const std::span<const std::byte> content(packet, static_cast<std::size_t>(got));
  const auto type = ring::check_packet(content);
  CHECK(type.ok());
  switch (*type) {
    case ring::ControlType::kHello:
      welcome(peer, ring::read_message<ring::Hello>(content));
      return true;
    case ring::ControlType::kOpenQueue:
      open_queue(peer, ring::read_message<ring::OpenQueue>(content));
      return true;
    case ring::ControlType::kCloseQueue:
      peer.queues[ring::read_message<ring::CloseQueue>(content).queue].reset();
      --queues_;
      break;
    case ring::ControlType::kRegister: {
      if (settings_.refuses_regions != 0) {
        refuse(peer.socket.get(), settings_.refuses_regions, "no more regions");
        return true;
      }
      const auto request = ring::read_message<ring::Register>(content);
      peer.regions.push_back(std::move(*Mapping::map_shared(file.get(), 0, request.bytes)));
      ++regions_;
      auto registered = ring::make_message<ring::Registered>();
      registered.token = static_cast<std::uint32_t>(peer.regions.size());
      send_message(peer.socket.get(), &registered, sizeof registered, {});
      return true;
    }
    case ring::ControlType::kUnregister:
      peer.regions[ring::read_message<ring::Unregister>(content).token - 1] = Mapping();
      --regions_;
      break;
    case ring::ControlType::kKeep:
      if (settings_.refuses_to_keep != 0) {
        refuse(peer.socket.get(), settings_.refuses_to_keep, "not so long");
        return true;
      }
      keep_seconds_ = ring::read_message<ring::Keep>(content).seconds;
      break;
    case ring::ControlType::kGoodbye:
      ++goodbyes_;
      peer.socket.reset();
      return true;
    default:
      peer.socket.reset();
      return true;
  }
  const auto done = ring::make_message<ring::Done>();
  send_message(peer.socket.get(), &done, sizeof done, {});
  return true;
}

void FakeDaemon::welcome(Peer& peer, const ring::Hello& hello) {
  ++hellos_;
  const std::string_view name = ring::name_of(hello);
  if (name == "refused") {
    return refuse(peer.socket.get(), EACCES, "'refused' is not let in");
  }
  auto message = ring::make_message<ring::Welcome>();
  message.version = settings_.version;
  message.queues_max = ring::kQueuesMax;
  message.regions_max = ring::kRegionsMax;
  message.region_bytes_max = ring::kRegionBytesMax;
  message.secret = kSecret;
  message.resumed = hello.secret == kSecret && settings_.resumed;
  came_back_ = came_back_ || hello.secret == kSecret;
  peer.disk = hello.attach == ring::Attach::kDisk;
  if (peer.disk) {
    message.disk_bytes = state_.disk.size();
    message.disk_block_bytes = 512;
  }
  send_message(peer.socket.get(), &message, sizeof message, {});
}

void FakeDaemon::open_queue(Peer& peer, const ring::OpenQueue& request) {
  if (queues_ >= settings_.queues_max) {
    return refuse(peer.socket.get(), EMFILE, "no more queues");
  }
  auto pair = ring::QueuePair::create(request.entries);
  CHECK(pair.ok());
  peer.queues.push_back(std::make_unique<ring::QueuePair>(std::move(*pair)));
  ++queues_;
  ring::QueuePair& queue = *peer.queues.back();
  auto opened = ring::make_message<ring::QueueOpened>();
  opened.queue = static_cast<std::uint32_t>(peer.queues.size() - 1);
  opened.entries = request.entries;
  opened.bytes = ring::queue_bytes(request.entries);
  send_message(peer.socket.get(), &opened, sizeof opened, {queue.memory_fd(), queue.doorbell_fd()});
}

bool FakeDaemon::work(Peer& peer) {
  bool busy = false;
  for (auto& queue : peer.queues) {
    ring::Submission entry;
    while (queue != nullptr && !dead_ && queue->take(entry) == ring::QueuePair::Take::kEntry) {
      busy = true;
      ring::Completion completion = carry_out(peer, entry);
      completion.user_data = entry.user_data + (settings_.completes_wrongly && entries_ == 0);
      queue->complete(completion);
      dead_ = ++entries_ >= settings_.entries_max;
      if (!dead_ || settings_.says_last) {
        queue->publish();
      }
    }
  }
  return busy;
}

FakeDaemon::State::Pages* FakeDaemon::pool_of(const ring::Submission& entry) {
  const std::uint32_t place = entry.pool - settings_.first_pool;
  if (place >= labels_.size()) {
    return nullptr;
  }
  const auto found = state_.pools.find(labels_[place]);
  return found != state_.pools.end() ? &found->second : nullptr;
}

ring::Completion FakeDaemon::carry_out(Peer& peer, const ring::Submission& entry) {
  if (peer.disk) {
    return on_disk(peer, entry);
  }
  switch (entry.opcode) {
    case ring::Opcode::kOpenPool: {
      state_.pools.try_emplace(entry.object);
      auto at = std::find(labels_.begin(), labels_.end(), entry.object);
      at = at != labels_.end() ? at : labels_.insert(at, entry.object);
      return {0, 0, settings_.first_pool + static_cast<std::uint32_t>(at - labels_.begin())};
    }
    case ring::Opcode::kStatistics: {
      ring::Statistics statistics{};
      statistics.target = 42;
      std::memcpy(peer.find(entry), &statistics, sizeof statistics);
      return {};
    }
    case ring::Opcode::kReport:
      std::memcpy(&report_, peer.find(entry), sizeof report_);
      return {};
    default:
      State::Pages* pages = pool_of(entry);
      return pages != nullptr ? on_page(peer, entry, *pages) : ring::Completion{0, -ESTALE, 0};
  }
}

ring::Completion FakeDaemon::on_page(Peer& peer, const ring::Submission& entry,
                                     State::Pages& pages) {
  const auto key = std::pair(entry.object, entry.index);
  std::byte* memory = peer.find(entry);
  switch (entry.opcode) {
    case ring::Opcode::kPut:
      if (memory == nullptr) {
        return {0, -EFAULT, 0};
      }
      std::memcpy(pages[key].data(), memory, kPageSize);
      return {};
    case ring::Opcode::kGet:
      if (memory == nullptr || !pages.contains(key)) {
        return {0, memory == nullptr ? -EFAULT : -ENOENT, 0};
      }
      std::memcpy(memory, pages[key].data(), kPageSize);
      return {};
    case ring::Opcode::kFlushPage:
      return {0, static_cast<std::int32_t>(pages.erase(key)), 0};
    case ring::Opcode::kFlushObject: {
      const auto gone =
          std::erase_if(pages, [&](const auto& page) { return page.first.first == entry.object; });
      return {0, 0, static_cast<std::uint32_t>(gone)};
    }
    case ring::Opcode::kDestroyPool:
      state_.pools.erase(labels_[entry.pool - settings_.first_pool]);
      return {};
    default:
      return {0, -EINVAL, 0};
  }
}

ring::Completion FakeDaemon::on_disk(Peer& peer, const ring::Submission& entry) {
  const bool moves = entry.opcode == ring::Opcode::kRead || entry.opcode == ring::Opcode::kWrite;
  if (entry.object + entry.length > state_.disk.size() ||
      (moves && entry.length > ring::kTransferBytesMax)) {
    return {0, -EINVAL, 0};
  }
  std::byte* disk = state_.disk.data() + entry.object;
  std::byte* memory = moves ? peer.find(entry) : nullptr;
  if (moves && memory == nullptr) {
    return {0, -EFAULT, 0};
  }
  switch (entry.opcode) {
    case ring::Opcode::kRead:
      std::memcpy(memory, disk, entry.length);
      return {};
    case ring::Opcode::kWrite:
      std::memcpy(disk, memory, entry.length);
      return {};
    case ring::Opcode::kDiscard:
    case ring::Opcode::kWriteZeroes:
      std::memset(disk, 0, entry.length);
      return {};
    case ring::Opcode::kExtent: {
      if (entry.object % kPageSize != 0 || entry.length % kPageSize != 0) {
        return {0, -EINVAL, 0};
      }
      const auto end = disk + entry.length;
      const bool hole = *disk == std::byte{0};
      const auto other = std::find_if(
          disk, end, [hole](std::byte byte) { return (byte == std::byte{0}) != hole; });
      return {0, hole,
              static_cast<std::uint32_t>(static_cast<std::size_t>(other - disk) / kPageSize)};
    }
    case ring::Opcode::kSync:
      return {};
    default:
      return {0, -EINVAL, 0};
  }
}

}  // namespace fallow::client
