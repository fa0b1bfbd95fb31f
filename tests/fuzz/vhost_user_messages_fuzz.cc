// A hostile front end: the input is a script of what it sends, with stand-ins for descriptors.
//
//   request 0..63, flags, size(16 bits), payload   a message; `flags`: low half is xor-ed into the
//                                                  header's, high half chooses the descriptors
//   64..95                                         a kick of queue (command - 64) % 4
//   96..111, offset(16), length(8), bytes          written to guest memory
//   112..119, length(8), bytes                     raw bytes into the socket
//   120                                            guest memory is cut to one page
//   121..255                                       the loop turns
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "base/log.h"
#include "checking_device.h"
#include "frontend/vhost_user/vhost_user_blk.h"

namespace fallow::fuzz {
namespace {

constexpr std::size_t kMemory = 64 * 1024;
constexpr std::size_t kKicks = 4;

class Script {
 public:
  explicit Script(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    const auto got = take(1);
    return got.empty() ? std::uint8_t{0} : got[0];
  }
  std::uint16_t word() {
    const unsigned low = byte();
    return static_cast<std::uint16_t>(low | byte() << 8);
  }
  std::span<const std::uint8_t> take(std::size_t size) {
    const auto got = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(got.size());
    return got;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

class Fixture {
 public:
  Fixture() {
    set_log_level(LogLevel::kError);
    auto loop = EventLoop::create();
    CHECK(loop.ok());
    loop_ = std::move(*loop);
    ExportOptions options;
    options.name = "fuzz";
    options.queues_max = 4;
    auto made = VhostUserBlk::create(*loop_, device_, options);
    CHECK(made.ok());
    export_ = std::move(*made);
    memory_ = UniqueFd(::memfd_create("fuzz", MFD_CLOEXEC));
    for (UniqueFd& kick : kicks_) {
      kick = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    }
  }

  void run(std::span<const std::uint8_t> bytes) {
    connect();
    Script script(bytes);
    while (!script.empty()) {
      step(script);
    }
    turn(4);
    peer_.reset();
    // Whatever happened, the export becomes free for the next front end.
    for (int turns = 0; export_->statistics().connected; ++turns) {
      CHECK(turns < 1000);
      turn(1);
    }
    turn(4);
    CHECK(device_.in_flight() == 0);
  }

 private:
  void connect() {
    CHECK(::ftruncate(memory_.get(), 0) == 0 && ::ftruncate(memory_.get(), kMemory) == 0);
    for (const UniqueFd& kick : kicks_) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = ::read(kick.get(), &count, sizeof count);
    }
    int ends[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    peer_.reset(ends[0]);
    CHECK(export_->adopt(UniqueFd(ends[1])).ok());
  }

  void turn(int times) {
    for (int i = 0; i < times; ++i) {
      loop_->run_once(0);
    }
  }

  void step(Script& script) {
    const unsigned command = script.byte();
    if (command < 64) {
      send_message(script, command);
    } else if (command < 96) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t written =
          ::write(kicks_[command % kKicks].get(), &one, sizeof one);
      turn(2);
    } else if (command < 112) {
      const std::uint16_t offset = script.word();
      const auto bytes = script.take(script.byte());
      [[maybe_unused]] const ssize_t written =
          ::pwrite(memory_.get(), bytes.data(), bytes.size(), offset);
    } else if (command < 120) {
      const auto bytes = script.take(script.byte());
      send(bytes.data(), bytes.size(), {});
    } else if (command == 120) {
      CHECK(::ftruncate(memory_.get(), 4096) == 0);
    } else {
      turn(1);
    }
  }

  void send_message(Script& script, unsigned request) {
    const unsigned flags = script.byte();
    const std::uint16_t size = script.word();
    const auto payload = script.take(std::min<std::size_t>(size, 512));
    vhost_user::Header header;
    header.request = request;
    header.flags = vhost_user::kVersion ^ (flags & 0xf);
    header.size = size;
    std::vector<std::uint8_t> bytes(sizeof header + payload.size());
    std::memcpy(bytes.data(), &header, sizeof header);
    std::copy(payload.begin(), payload.end(), bytes.begin() + sizeof header);
    const std::vector<int> fds = choose_fds(flags >> 4);
    send(bytes.data(), bytes.size(), fds);
    turn(2);
    char replies[4096];
    [[maybe_unused]] const ssize_t got = ::recv(peer_.get(), replies, sizeof replies, MSG_DONTWAIT);
  }

  [[nodiscard]] std::vector<int> choose_fds(unsigned choice) const {
    if (choice >= 4 && choice < 8) {
      return {kicks_[choice - 4].get()};
    }
    if (choice >= 8 && choice < 12) {
      return std::vector<int>(choice - 7, memory_.get());
    }
    if (choice >= 12) {
      return std::vector<int>(choice - 5, kicks_[0].get());  // up to ten
    }
    return choice == 1 ? std::vector<int>{peer_.get()} : std::vector<int>{};
  }

  void send(const void* data, std::size_t size, const std::vector<int>& fds) {
    iovec part{const_cast<void*>(data), size};
    alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))] = {};
    msghdr head{};
    head.msg_iov = &part;
    head.msg_iovlen = 1;
    if (!fds.empty()) {
      head.msg_control = control;
      head.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
      cmsghdr* item = CMSG_FIRSTHDR(&head);
      item->cmsg_level = SOL_SOCKET;
      item->cmsg_type = SCM_RIGHTS;
      item->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(item), fds.data(), fds.size() * sizeof(int));
    }
    [[maybe_unused]] const ssize_t sent =
        ::sendmsg(peer_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  std::unique_ptr<EventLoop> loop_;
  CheckingDevice device_{1 << 20};
  std::unique_ptr<VhostUserBlk> export_;
  UniqueFd peer_;
  UniqueFd memory_;
  std::array<UniqueFd, kKicks> kicks_;
};

}  // namespace
}  // namespace fallow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fallow::fuzz::Fixture fixture;
  fixture.run({data, size});
  return 0;
}
