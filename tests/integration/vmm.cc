#include "integration/vmm.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "base/check.h"
#include "base/passed_descriptors.h"
#include "pager/userfault_features.h"

namespace fallow::test {

Vmm::Vmm(std::size_t bytes)
    : bytes_(bytes),
      file_(::memfd_create("ram", MFD_CLOEXEC)),
      faults_(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK))) {
  CHECK(file_.valid() && faults_.valid());
  CHECK(::ftruncate(file_.get(), static_cast<off_t>(bytes)) == 0);
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  CHECK(at != MAP_FAILED);
  memory_ = static_cast<std::byte*>(at);
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = pager::kSharedMemoryFeatures;
  CHECK(::ioctl(faults_.get(), UFFDIO_API, &api) == 0);
}

Vmm::~Vmm() {
  // Nobody answers any more.
  faults_.reset();
  ::munmap(memory_, bytes_);
}

std::string Vmm::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_.get());
}

std::size_t Vmm::bytes_in_ram() const {
  struct stat status {};
  CHECK(::fstat(file_.get(), &status) == 0);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

std::string Vmm::handshake() const {
  // Two mappings, as of a VM with a gap below 4 GiB.
  const std::size_t half = bytes_ / 2;
  const auto mapping = [this](std::size_t offset, std::size_t bytes) {
    return "{\"base_host_virt_addr\":" +
           std::to_string(reinterpret_cast<std::uintptr_t>(memory_) + offset) +
           ",\"size\":" + std::to_string(bytes) + ",\"offset\":" + std::to_string(offset) +
           ",\"page_size\":4096,\"page_size_kib\":4096}";
  };
  return "[" + mapping(0, half) + "," + mapping(half, bytes_ - half) + "]";
}

bool Vmm::hand_over(const std::string& socket) {
  connection_ = connect_to(socket);
  say(connection_.get(), handshake(), {faults_.get()});
  return answered(connection_.get());
}

UniqueFd connect_to(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CHECK(socket.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, socket.c_str(), socket.size());
  for (int i = 0; i < 3000; ++i) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      return fd;
    }
    ::usleep(10'000);
  }
  CHECK(false);
}

bool answered(int connection) {
  char byte = 0;
  return ::recv(connection, &byte, 1, 0) == 1;
}

void say(int connection, const std::string& text, const std::vector<int>& descriptors) {
  iovec vector{const_cast<char*>(text.data()), text.size()};
  PassedDescriptors<4> along;
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  along.give(message, descriptors);
  // Who has been refused already may have gone.
  (void)::sendmsg(connection, &message, MSG_NOSIGNAL);
}

PagerProcess::PagerProcess(std::string memory, std::vector<std::string> more)
    : memory_(std::move(memory)), more_(std::move(more)) {
  start();
}

std::vector<std::string> PagerProcess::arguments(const std::vector<std::string>& more) const {
  std::vector<std::string> all{bin("fallow"), "pager", "--socket", socket(),
                               "--state",     state(), "--mem",    memory_};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

void PagerProcess::start() {
  process_ = std::make_unique<Background>(arguments(more_), dir_.path() + "/log");
}

Outcome PagerProcess::run_once(const std::vector<std::string>& more) const {
  return run(arguments(more));
}

std::string PagerProcess::log() const {
  std::ifstream file(dir_.path() + "/log");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace fallow::test
