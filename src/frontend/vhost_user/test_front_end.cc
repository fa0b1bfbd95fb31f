#include "frontend/vhost_user/test_front_end.h"

#include <linux/virtio_config.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/passed_descriptors.h"
#include "base/units.h"
#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {
namespace {

Result<UniqueFd> connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return invalid("socket path '" + path + "' is too long");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  if (!fd.valid() || ::connect(fd.get(), raw, sizeof address) != 0) {
    return failed_errno("cannot connect to '" + path + "'", errno);
  }
  return fd;
}

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

TestFrontEnd::TestFrontEnd(UniqueFd socket, const Options& options)
    : socket_(std::move(socket)), options_(options) {}

Result<std::unique_ptr<TestFrontEnd>> TestFrontEnd::connect(const std::string& socket_path,
                                                            const Options& options) {
  auto socket = connect_unix(socket_path);
  if (!socket) {
    return socket.error();
  }
  return adopt(std::move(*socket), options);
}

Result<std::unique_ptr<TestFrontEnd>> TestFrontEnd::adopt(UniqueFd socket, const Options& options) {
  std::unique_ptr<TestFrontEnd> front(new TestFrontEnd(std::move(socket), options));
  FALLOW_TRY(front->negotiate());
  FALLOW_TRY(front->make_memory());
  if (options.start) {
    FALLOW_TRY(front->start_queues());
  }
  return front;
}

Status TestFrontEnd::reconnect(const std::string& socket_path, Acknowledging acknowledging) {
  auto socket = connect_unix(socket_path);
  if (!socket) {
    return socket.error();
  }
  socket_ = std::move(*socket);
  if (acknowledging == Acknowledging::kAnew) {
    protocol_features_ = 0;
    FALLOW_TRY(negotiate());
  } else {
    FALLOW_TRY(send_u64(RequestType::kSetFeatures, features_));
  }
  FALLOW_TRY(share_memory());
  if (inflight_fd_.valid()) {
    FALLOW_TRY(share_inflight_region());
  }
  for (unsigned i = 0; i < options_.queues; ++i) {
    FALLOW_TRY(setup_queue(i, queues_[i]->used_index()));
  }
  return {};
}

Status TestFrontEnd::share_inflight_region() {
  if (!inflight_fd_.valid()) {
    inflight_.queues = static_cast<std::uint16_t>(options_.queues);
    inflight_.queue_size = static_cast<std::uint16_t>(options_.queue.size);
    FALLOW_TRY(send(RequestType::kGetInflightFd, bytes_of(inflight_)));
    Message reply;
    FALLOW_TRY(receive(reply));
    if (reply.header.size != sizeof inflight_ || reply.fds.size() != 1) {
      return failed("the back end does not give an in-flight region");
    }
    inflight_ = decode_inflight(reply);
    inflight_fd_ = std::move(reply.fds.front());
  }
  const int fd = inflight_fd_.get();
  return send(RequestType::kSetInflightFd, bytes_of(inflight_), {&fd, 1});
}

Status TestFrontEnd::negotiate() {
  const auto offered = ask_u64(RequestType::kGetFeatures);
  FALLOW_TRY(offered);
  std::uint64_t wanted = bit(VIRTIO_F_VERSION_1) | bit(kFeatureProtocolFeatures) |
                         bit(VIRTIO_BLK_F_FLUSH) | bit(VIRTIO_BLK_F_MQ) |
                         bit(VIRTIO_BLK_F_DISCARD) | bit(VIRTIO_BLK_F_WRITE_ZEROES) |
                         bit(VIRTIO_BLK_F_BLK_SIZE) | bit(VIRTIO_BLK_F_SEG_MAX);
  wanted |= options_.queue.indirect ? bit(VIRTIO_RING_F_INDIRECT_DESC) : 0;
  wanted |= options_.queue.event_index ? bit(VIRTIO_RING_F_EVENT_IDX) : 0;
  features_ = *offered & wanted;
  const auto protocol = ask_u64(RequestType::kGetProtocolFeatures);
  FALLOW_TRY(protocol);
  DeviceShape known;
  known.migratable = true;
  const std::uint64_t acknowledged = *protocol & offered_protocol_features(known);
  FALLOW_TRY(send_u64(RequestType::kSetProtocolFeatures, acknowledged));
  protocol_features_ = acknowledged;
  if ((acknowledged & bit(kProtocolFeatureMq)) != 0) {
    const auto queues = ask_u64(RequestType::kGetQueueNum);
    FALLOW_TRY(queues);
    queue_num_ = *queues;
  }
  FALLOW_TRY(send(RequestType::kSetOwner, {}));
  FALLOW_TRY(send_u64(RequestType::kSetFeatures, features_));
  return fetch_config();
}

Status TestFrontEnd::fetch_config() {
  // As much as every back end has; older ones refuse to be asked for more.
  constexpr std::size_t kKnown = offsetof(virtio_blk_config, max_secure_erase_sectors);
  std::array<std::byte, sizeof(ConfigWindow) + kKnown> payload{};
  const ConfigWindow window{0, kKnown, 0};
  std::memcpy(payload.data(), &window, sizeof window);
  Message reply;
  FALLOW_TRY(send(RequestType::kGetConfig, payload));
  FALLOW_TRY(receive(reply));
  if (reply.header.size != payload.size()) {
    return failed("the back end does not give its configuration space");
  }
  std::memcpy(&config_, reply.bytes.data() + sizeof window, kKnown);
  return {};
}

Status TestFrontEnd::make_memory() {
  const std::size_t per_queue = DriverQueue::bytes_needed(options_.queue);
  const std::size_t size = per_queue * options_.queues;
  memory_fd_ = UniqueFd(::memfd_create("fallow-test-guest", MFD_CLOEXEC));
  if (!memory_fd_.valid() || ::ftruncate(memory_fd_.get(), static_cast<off_t>(size)) != 0) {
    return failed_errno("cannot make guest memory", errno);
  }
  auto mapping = Mapping::map_shared(memory_fd_.get(), 0, size);
  if (!mapping) {
    return mapping.error();
  }
  memory_ = std::move(*mapping);
  for (unsigned i = 0; i < options_.queues; ++i) {
    const std::span<std::byte> part(memory_->data() + i * per_queue, per_queue);
    queues_.push_back(
        std::make_unique<DriverQueue>(part, kGuestBase + i * per_queue, options_.queue));
  }
  return {};
}

std::vector<Region> TestFrontEnd::regions() const {
  const auto user = reinterpret_cast<std::uint64_t>(memory_->data());
  const std::uint64_t size = memory_->size();
  if (options_.regions == 1) {
    return {{kGuestBase, size, user, 0}};
  }
  const std::uint64_t cut = size - kPageSize;
  return {{kGuestBase, cut, user, 0}, {kGuestBase + cut, size - cut, user + cut, cut}};
}

Status TestFrontEnd::share_memory() {
  const std::vector<Region> table = regions();
  const std::vector<int> fds(table.size(), memory_fd_.get());
  return send_table(table, fds);
}

Status TestFrontEnd::start_queues() {
  FALLOW_TRY(share_memory());
  if (options_.inflight && (protocol_features_ & bit(kProtocolFeatureInflightShmfd)) != 0) {
    FALLOW_TRY(share_inflight_region());
  }
  for (unsigned i = 0; i < options_.queues; ++i) {
    FALLOW_TRY(setup_queue(i, 0));
  }
  return {};
}

VringAddress TestFrontEnd::addresses(unsigned index) const {
  const std::size_t per_queue = DriverQueue::bytes_needed(options_.queue);
  const auto base = reinterpret_cast<std::uint64_t>(memory_->data()) + index * per_queue;
  const DriverQueue& own = *queues_[index];
  return {index,
          0,
          base + own.descriptors_offset(),
          base + own.used_offset(),
          base + own.available_offset(),
          0};
}

Status TestFrontEnd::setup_queue(unsigned index, std::uint32_t base) {
  FALLOW_TRY(send_state(RequestType::kSetVringNum, index, options_.queue.size));
  FALLOW_TRY(send_state(RequestType::kSetVringBase, index, base));
  FALLOW_TRY(send(RequestType::kSetVringAddr, bytes_of(addresses(index))));
  FALLOW_TRY(send_fd(RequestType::kSetVringCall, index, queues_[index]->call_fd()));
  FALLOW_TRY(send_fd(RequestType::kSetVringKick, index, queues_[index]->kick_fd()));
  return options_.enable ? send_state(RequestType::kSetVringEnable, index, 1) : Status();
}

Result<std::uint32_t> TestFrontEnd::stop_queue(unsigned index) {
  FALLOW_TRY(send_state(RequestType::kGetVringBase, index, 0));
  Message reply;
  FALLOW_TRY(receive(reply));
  return decode_vring_state(reply).value;
}

// The protocol.

Status TestFrontEnd::send_raw(std::span<const std::byte> bytes, std::span<const int> fds) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  PassedDescriptors<32> along;
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  along.give(head, fds);
  if (::sendmsg(socket_.get(), &head, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
    return failed_errno("cannot send to the back end", errno);
  }
  return {};
}

Status TestFrontEnd::send(RequestType type, std::span<const std::byte> payload,
                          std::span<const int> fds) {
  const bool acknowledged =
      (protocol_features_ & bit(kProtocolFeatureReplyAck)) != 0 && !has_own_reply(type);
  Header header;
  header.request = static_cast<std::uint32_t>(type);
  header.flags = kVersion | (acknowledged ? kFlagNeedReply : 0);
  header.size = static_cast<std::uint32_t>(payload.size());
  std::vector<std::byte> bytes(sizeof header + payload.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  std::copy(payload.begin(), payload.end(), bytes.begin() + sizeof header);
  FALLOW_TRY(send_raw(bytes, fds));
  if (!acknowledged) {
    return {};
  }
  Message reply;
  FALLOW_TRY(receive(reply));
  if (decode_u64(reply) != 0) {
    return failed("the back end refuses request " + std::to_string(header.request));
  }
  return {};
}

Status TestFrontEnd::receive(Message& message) {
  FALLOW_TRY(receive_exactly(reinterpret_cast<std::byte*>(&message.header), sizeof message.header,
                             message.fds));
  if (message.header.size > kPayloadMax) {
    return failed("the back end's reply is too large");
  }
  return receive_exactly(message.bytes.data(), message.header.size, message.fds);
}

Status TestFrontEnd::receive_exactly(std::byte* to, std::size_t size, std::vector<UniqueFd>& fds) {
  while (size > 0) {
    pollfd query{socket_.get(), POLLIN, 0};
    if (::poll(&query, 1, options_.timeout_ms) != 1) {
      return failed("the back end does not answer");
    }
    iovec part{to, size};
    PassedDescriptors<1> along;
    msghdr head{};
    head.msg_iov = &part;
    head.msg_iovlen = 1;
    along.expect(head);
    const ssize_t got = ::recvmsg(socket_.get(), &head, MSG_CMSG_CLOEXEC);
    if (got <= 0) {
      return failed("the back end closed the connection");
    }
    take_descriptors(head, [&](UniqueFd fd) { fds.push_back(std::move(fd)); });
    to += got;
    size -= static_cast<std::size_t>(got);
  }
  return {};
}

Status TestFrontEnd::send_u64(RequestType type, std::uint64_t value) {
  return send(type, bytes_of(value));
}

Status TestFrontEnd::send_fd(RequestType type, unsigned index, int fd) {
  const std::uint64_t word = index;
  return send(type, bytes_of(word), {&fd, 1});
}

Status TestFrontEnd::send_state(RequestType type, std::uint32_t index, std::uint32_t value) {
  return send(type, bytes_of(VringState{index, value}));
}

Status TestFrontEnd::send_table(std::span<const Region> table, std::span<const int> fds) {
  const std::uint64_t head = table.size();
  std::vector<std::byte> payload(sizeof head + table.size_bytes());
  std::memcpy(payload.data(), &head, sizeof head);
  std::memcpy(payload.data() + sizeof head, table.data(), table.size_bytes());
  return send(RequestType::kSetMemTable, payload, fds);
}

Status TestFrontEnd::set_log_base(const LogDescription& log, int fd) {
  FALLOW_TRY(send(RequestType::kSetLogBase, bytes_of(log), {&fd, 1}));
  Message reply;
  return receive(reply);
}

Result<std::uint64_t> TestFrontEnd::ask_u64(RequestType type) {
  FALLOW_TRY(send(type, {}));
  Message reply;
  FALLOW_TRY(receive(reply));
  return decode_u64(reply);
}

bool TestFrontEnd::wait_for_hang_up() {
  pollfd query{socket_.get(), POLLRDHUP, 0};
  return ::poll(&query, 1, options_.timeout_ms) == 1;
}

// Requests.

TestFrontEnd::BlockStatus TestFrontEnd::request(std::uint32_t type, std::uint64_t sector,
                                                std::uint32_t length, unsigned queue) {
  DriverQueue& own = *queues_[queue];
  own.submit(0, type, sector, length);
  own.kick();
  DriverQueue::Completion completion;
  if (!own.wait(completion, options_.timeout_ms)) {
    return std::nullopt;
  }
  return completion.status;
}

TestFrontEnd::BlockStatus TestFrontEnd::read(std::uint64_t offset, std::span<std::byte> to,
                                             unsigned queue) {
  const auto status =
      request(VIRTIO_BLK_T_IN, offset / kSectorSize, static_cast<std::uint32_t>(to.size()), queue);
  std::memcpy(to.data(), queues_[queue]->data(0).data(), to.size());
  return status;
}

TestFrontEnd::BlockStatus TestFrontEnd::write(std::uint64_t offset, std::span<const std::byte> from,
                                              unsigned queue) {
  std::memcpy(queues_[queue]->data(0).data(), from.data(), from.size());
  return request(VIRTIO_BLK_T_OUT, offset / kSectorSize, static_cast<std::uint32_t>(from.size()),
                 queue);
}

TestFrontEnd::BlockStatus TestFrontEnd::flush(unsigned queue) {
  return request(VIRTIO_BLK_T_FLUSH, 0, 0, queue);
}

TestFrontEnd::BlockStatus TestFrontEnd::range(std::uint32_t type, std::uint64_t offset,
                                              std::uint64_t length, std::uint32_t flags) {
  const virtio_blk_discard_write_zeroes word{
      offset / kSectorSize, static_cast<std::uint32_t>(length / kSectorSize), flags};
  std::memcpy(queues_[0]->data(0).data(), &word, sizeof word);
  return request(type, 0, sizeof word);
}

TestFrontEnd::BlockStatus TestFrontEnd::discard(std::uint64_t offset, std::uint64_t length,
                                                std::uint32_t flags) {
  return range(VIRTIO_BLK_T_DISCARD, offset, length, flags);
}

TestFrontEnd::BlockStatus TestFrontEnd::write_zeroes(std::uint64_t offset, std::uint64_t length,
                                                     std::uint32_t flags) {
  return range(VIRTIO_BLK_T_WRITE_ZEROES, offset, length, flags);
}

TestFrontEnd::BlockStatus TestFrontEnd::get_id(std::string& id) {
  const auto status = request(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES);
  const auto* text = reinterpret_cast<const char*>(queues_[0]->data(0).data());
  id.assign(text, ::strnlen(text, VIRTIO_BLK_ID_BYTES));
  return status;
}

}  // namespace fallow::vhost_user
