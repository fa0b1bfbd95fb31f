// A hostile front end: the input is a script of what it sends, with stand-ins for descriptors.
//
//   request 0..63, flags, size(16 bits), payload   a message; `flags`: low half is xor-ed into the
//                                                  header's, high half chooses the descriptors
//   64..95                                         a kick of queue (command - 64) % 4
//   96..111, offset(16), length(8), bytes          written to guest memory
//   112..119, length(8), bytes                     raw bytes into the socket
//   120                                            guest memory is cut to one page
//   121                                            the connection breaks, another one begins
//   122                                            the disk gets half or all of its size
//   123                                            the export moves to the other loop
//   124                                            the in-flight file is cut
//   125                                            another thread scribbles over shared memory, or
//                                                  stops doing so
//   126, offset(16), length(8), bytes              written to the in-flight file
//   127..255                                       the loops turn
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <random>
#include <span>
#include <thread>

#include "base/foreign_memory.h"
#include "base/log.h"
#include "base/passed_descriptors.h"
#include "base/temp_dir.h"
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

// A neighbour on another processor: writes words at random places, most of them where rings and
// regions begin, while it is told to. Never stops or ends: it lives as long as the program.
class Scribbler {
 public:
  explicit Scribbler(const std::array<int, 2>& files) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      auto memory = ForeignMemory::map(files[i], 0, kMemory);
      CHECK(memory.ok());
      memory_[i] = std::move(*memory);
    }
    std::thread([this] { run(); }).detach();
  }
  void set_active(bool active) { active_.store(active); }
  void toggle() { set_active(!active_.load()); }

 private:
  void run() {
    std::minstd_rand random(1);
    for (;;) {
      active_.wait(false);
      std::byte* at = memory_[random() % 2].data() + random() % (random() % 2 == 0 ? 600 : kMemory);
      const auto value = static_cast<std::byte>(random() % 3 == 0 ? random() : random() % 8);
      std::atomic_ref<std::byte>(*at).store(value, std::memory_order_relaxed);
    }
  }

  std::array<ForeignMemory, 2> memory_;
  std::atomic<bool> active_{false};
};

class Fixture {
 public:
  Fixture() {
    set_log_level(LogLevel::kError);
    for (auto& loop : loops_) {
      auto made = EventLoop::create();
      CHECK(made.ok());
      loop = std::move(*made);
    }
    ExportOptions options;
    options.name = "fuzz";
    options.socket_path = dir_.path() + "/fuzz.sock";
    options.queues_max = 4;
    options.migratable = true;
    auto made = VhostUserBlk::create(*loops_[0], device_, options);
    CHECK(made.ok());
    export_ = std::move(*made);
    for (UniqueFd* file : {&memory_, &inflight_}) {
      *file = UniqueFd(::memfd_create("fuzz", MFD_CLOEXEC));
      clear(*file);
    }
    for (UniqueFd& kick : kicks_) {
      kick = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    }
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_) == 0);
    scribbler_ = new Scribbler({memory_.get(), inflight_.get()});
  }

  void run(std::span<const std::uint8_t> bytes) {
    clear(memory_);
    clear(inflight_);
    connect();
    Script script(bytes);
    while (!script.empty()) {
      step(script);
    }
    turn(4);
    scribbler_->set_active(false);
    disconnect();
    set_size(kDisk);
  }

 private:
  static void clear(const UniqueFd& file) {
    CHECK(::ftruncate(file.get(), 0) == 0 && ::ftruncate(file.get(), kMemory) == 0);
  }

  // Whatever happened, the export becomes free for the next front end.
  void disconnect() {
    peer_.reset();
    for (int turns = 0; export_->statistics().connected; ++turns) {
      CHECK(turns < 1000);
      turn(1);
    }
    turn(4);
    CHECK(device_.in_flight() == 0);
  }

  void set_size(std::uint64_t size) {
    device_.resize(size);
    export_->size_changed();
  }

  void move() {
    bool moved = false;
    home_ = 1 - home_;
    export_->move_to(*loops_[home_], [&moved] { moved = true; });
    turn(1);
    CHECK(moved);
  }

  void connect() {
    for (const UniqueFd& kick : kicks_) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = ::read(kick.get(), &count, sizeof count);
    }
    peer_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir_.path() + "/fuzz.sock";
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    CHECK(::connect(peer_.get(), raw, sizeof address) == 0);
    for (int turns = 0; !export_->statistics().connected; ++turns) {
      CHECK(turns < 1000);
      turn(1);
    }
  }

  void turn(int times) {
    for (int i = 0; i < times; ++i) {
      loops_[1 - home_]->run_once(0);
      loops_[home_]->run_once(0);
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
    } else {
      change_surroundings(script, command);
    }
  }

  void change_surroundings(Script& script, unsigned command) {
    switch (command) {
      case 120:
        CHECK(::ftruncate(memory_.get(), 4096) == 0);
        return;
      case 121:
        disconnect();
        connect();
        return;
      case 122:
        set_size(device_.size_bytes() == kDisk ? kDisk / 2 : kDisk);
        return;
      case 123:
        move();
        return;
      case 124:
        CHECK(::ftruncate(inflight_.get(), 0) == 0);
        return;
      case 125:
        scribbler_->toggle();
        return;
      case 126: {
        const std::uint16_t offset = script.word();
        const auto bytes = script.take(script.byte());
        [[maybe_unused]] const ssize_t written =
            ::pwrite(inflight_.get(), bytes.data(), bytes.size(), offset);
        return;
      }
      default:
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
    const int others[] = {peer_.get(), pair_[0], inflight_.get()};
    return choice == 0 ? std::vector<int>{} : std::vector<int>{others[choice - 1]};
  }

  void send(const void* data, std::size_t size, const std::vector<int>& fds) {
    iovec part{const_cast<void*>(data), size};
    PassedDescriptors<16> along;
    msghdr head{};
    head.msg_iov = &part;
    head.msg_iovlen = 1;
    along.give(head, fds);
    [[maybe_unused]] const ssize_t sent =
        ::sendmsg(peer_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  static constexpr std::uint64_t kDisk = 1 << 20;

  TempDir dir_;
  std::array<std::unique_ptr<EventLoop>, 2> loops_;
  std::size_t home_ = 0;
  CheckingDevice device_{kDisk};
  std::unique_ptr<VhostUserBlk> export_;
  UniqueFd peer_;
  UniqueFd memory_;
  UniqueFd inflight_;
  int pair_[2] = {-1, -1};  // a channel for requests of the back end's
  Scribbler* scribbler_ = nullptr;
  std::array<UniqueFd, kKicks> kicks_;
};

}  // namespace
}  // namespace fallow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fallow::fuzz::Fixture fixture;
  fixture.run({data, size});
  return 0;
}
