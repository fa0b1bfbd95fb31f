#include "frontend/ring/test_client.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/passed_descriptors.h"

namespace fallow::ring {
namespace {

constexpr int kPatienceMs = 10'000;

}  // namespace

TestQueue::TestQueue(std::uint32_t number, std::uint32_t entries, UniqueFd memory,
                     UniqueFd doorbell)
    : number_(number),
      entries_(entries),
      memory_fd_(std::move(memory)),
      doorbell_(std::move(doorbell)) {
  auto mapping = Mapping::map_shared(memory_fd_.get(), 0, queue_bytes(entries));
  CHECK(mapping.ok());
  memory_ = std::move(*mapping);
}

Submission& TestQueue::submission(std::uint32_t index) {
  auto* first = reinterpret_cast<Submission*>(memory_.data() + kSubmissionsOffset);
  return first[index % entries_];
}

void TestQueue::submit(const Submission& entry) {
  submission(submitted_) = entry;
  std::atomic_ref(head().client.submitted).store(++submitted_);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (std::atomic_ref(head().daemon.waiting).load() == 1) {
    ring();
  }
}

void TestQueue::ring() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(doorbell_.get(), &one, sizeof one);
}

std::optional<Completion> TestQueue::poll() {
  if (std::atomic_ref(head().daemon.completed).load() == consumed_) {
    return std::nullopt;
  }
  const auto* first =
      reinterpret_cast<const Completion*>(memory_.data() + completions_offset(entries_));
  const Completion completion = first[consumed_ % entries_];
  std::atomic_ref(head().client.consumed).store(++consumed_);
  return completion;
}

std::optional<Completion> TestQueue::wait() {
  const timespec patience{kPatienceMs / 1000, 0};
  auto completed = std::atomic_ref(head().daemon.completed);
  auto waiting = std::atomic_ref(head().client.waiting);
  for (;;) {
    if (const auto completion = poll()) {
      return completion;
    }
    waiting.store(1);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (completed.load() == consumed_) {
      const long slept = ::syscall(SYS_futex, &head().daemon.completed, FUTEX_WAIT, consumed_,
                                   &patience, nullptr, 0);
      if (slept != 0 && errno == ETIMEDOUT) {
        return std::nullopt;
      }
    }
    waiting.store(0);
  }
}

Completion TestQueue::run(const Submission& entry) {
  submit(entry);
  const auto completion = wait();
  CHECK(completion.has_value() && completion->user_data == entry.user_data);
  return *completion;
}

Result<TestClient> TestClient::connect(const std::string& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed_errno("cannot connect", errno);
  }
  return TestClient(std::move(socket));
}

Hello TestClient::make_hello(Attach attach, std::string_view name) {
  auto hello = make_message<Hello>();
  hello.version_first = kVersionFirst;
  hello.version_last = kVersionLast;
  hello.attach = attach;
  std::memcpy(hello.name, name.data(), std::min(name.size(), sizeof hello.name - 1));
  return hello;
}

std::optional<Welcome> TestClient::hello(Attach attach, std::string_view name) {
  send(make_hello(attach, name));
  return receive_as<Welcome>();
}

std::optional<TestQueue> TestClient::open_queue(std::uint32_t entries) {
  auto open = make_message<OpenQueue>();
  open.entries = entries;
  send(open);
  const auto opened = receive_as<QueueOpened>();
  if (!opened || fds_.size() != 2) {
    return std::nullopt;
  }
  return TestQueue(opened->queue, opened->entries, std::move(fds_[0]), std::move(fds_[1]));
}

std::optional<TestRegion> TestClient::add_region(std::uint64_t bytes) {
  TestRegion region;
  region.file = UniqueFd(::memfd_create("region", MFD_CLOEXEC));
  CHECK(::ftruncate(region.file.get(), static_cast<off_t>(bytes)) == 0);
  auto mapping = Mapping::map_shared(region.file.get(), 0, bytes);
  CHECK(mapping.ok());
  region.memory = std::move(*mapping);
  auto message = make_message<Register>();
  message.bytes = bytes;
  const int fds[] = {region.file.get()};
  send(message, fds);
  const auto registered = receive_as<Registered>();
  if (!registered) {
    return std::nullopt;
  }
  region.token = registered->token;
  return region;
}

bool TestClient::keep(std::uint32_t seconds) {
  auto message = make_message<Keep>();
  message.seconds = seconds;
  send(message);
  return receive_as<Done>().has_value();
}

void TestClient::send_bytes(std::span<const std::byte> bytes, std::span<const int> fds) {
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  PassedDescriptors<253> along;  // the kernel takes no more
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  along.give(head, fds);
  [[maybe_unused]] const ssize_t sent = ::sendmsg(socket_.get(), &head, MSG_NOSIGNAL);
}

std::vector<std::byte> TestClient::receive() {
  fds_.clear();
  pollfd query{socket_.get(), POLLIN, 0};
  if (::poll(&query, 1, kPatienceMs) != 1) {
    return {};
  }
  std::vector<std::byte> packet(kControlBytesMax);
  iovec part{packet.data(), packet.size()};
  PassedDescriptors<8> along;
  msghdr head{};
  head.msg_iov = &part;
  head.msg_iovlen = 1;
  along.expect(head);
  const ssize_t got = ::recvmsg(socket_.get(), &head, MSG_CMSG_CLOEXEC);
  packet.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  if (got > 0) {
    take_descriptors(head, [this](UniqueFd fd) { fds_.push_back(std::move(fd)); });
  }
  return packet;
}

bool TestClient::closed() {
  pollfd query{socket_.get(), POLLRDHUP, 0};
  return ::poll(&query, 1, kPatienceMs) == 1;
}

}  // namespace fallow::ring
