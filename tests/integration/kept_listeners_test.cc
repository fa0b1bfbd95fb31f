// A service manager that keeps the daemon's listening sockets, as systemd's file descriptor store
// does, and hands them to its next life.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/passed_descriptors.h"
#include "base/temp_dir.h"
#include "frontend/ring/test_client.h"
#include "frontend/vhost_user/test_front_end.h"
#include "integration/program.h"

namespace fallow::test {
namespace {

using vhost_user::TestFrontEnd;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

// Connected, or invalid when nobody listens.
UniqueFd connect_to(const std::string& path, int type = SOCK_STREAM) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0
             ? std::move(fd)
             : UniqueFd();
}

class ServiceManager {
 public:
  ServiceManager() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_un address = address_of(path());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
  }

  // In the process that becomes the daemon.
  void prepare() const {
    ::setenv("NOTIFY_SOCKET", path().c_str(), 1);
    if (kept_.empty()) {
      return;
    }
    std::vector<int> copies;
    std::string names;
    for (const auto& [name, fd] : kept_) {
      copies.push_back(::fcntl(fd.get(), F_DUPFD, 200));
      names += (names.empty() ? "" : ":") + name;
    }
    for (std::size_t i = 0; i < copies.size(); ++i) {
      ::dup2(copies[i], static_cast<int>(3 + i));
      ::close(copies[i]);
    }
    ::setenv("LISTEN_FDS", std::to_string(copies.size()).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  }

  // Carries out what the daemon has said by now.
  void listen() {
    pollfd ready{socket_.get(), POLLIN, 0};
    while (::poll(&ready, 1, 0) == 1) {
      receive();
    }
  }
  // The names of what is kept for that path.
  std::vector<std::string> kept_for(const std::string& path) {
    listen();
    std::vector<std::string> names;
    for (const auto& [name, fd] : kept_) {
      if (name.ends_with(path)) {
        names.push_back(name);
      }
    }
    return names;
  }

 private:
  [[nodiscard]] std::string path() const { return folder_.path() + "/notify"; }

  void receive() {
    std::array<char, 4096> text{};
    PassedDescriptors<1> passed;
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    passed.expect(message);
    const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    ASSERT_GT(size, 0);
    UniqueFd fd;
    take_descriptors(message, [&fd](UniqueFd one) { fd = std::move(one); });
    const std::string said(text.data(), static_cast<std::size_t>(size));
    const std::string key = "FDNAME=";
    const std::size_t at = said.find(key);
    if (at == std::string::npos) {
      return;
    }
    const std::string name = said.substr(at + key.size(), said.find('\n', at) - at - key.size());
    if (said.starts_with("FDSTORE=1\n")) {
      ASSERT_TRUE(fd.valid());
      kept_[name] = std::move(fd);
    } else if (said.starts_with("FDSTOREREMOVE=1\n")) {
      EXPECT_EQ(kept_.erase(name), 1u) << name;
    }
  }

  TempDir folder_;
  UniqueFd socket_;
  std::map<std::string, UniqueFd> kept_;
};

class KeptListenersTest : public testing::Test {
 protected:
  KeptListenersTest() {
    EXPECT_TRUE(daemon_.wait_ready()) << daemon_.log();
    EXPECT_EQ(daemon_.fallow({"vm", "add", "disk", "--size", "4M"}).exit_code, 0);
    const auto front = TestFrontEnd::connect(socket_, {});
    EXPECT_EQ((*front)->write(8192, page_), VIRTIO_BLK_S_OK);
    manager_.listen();
  }
  ~KeptListenersTest() override { manager_.listen(); }

  // A front end over that connection finds the disk with its page.
  void expect_served(UniqueFd connection) {
    const auto front = TestFrontEnd::adopt(std::move(connection), {});
    ASSERT_TRUE(front.ok()) << front.error().text << daemon_.log();
    std::array<std::byte, kPageSize> page{};
    EXPECT_EQ((*front)->read(8192, page), VIRTIO_BLK_S_OK);
    EXPECT_EQ(page, page_);
  }

  static constexpr std::size_t kPageSize = 4096;
  std::array<std::byte, kPageSize> page_ = [] {
    std::array<std::byte, kPageSize> page{};
    page[17] = std::byte{42};
    return page;
  }();
  ServiceManager manager_;
  Daemon daemon_{{.prepare = [this] { manager_.prepare(); }}};
  const std::string socket_ = daemon_.disk_socket("disk");
  const std::string ring_ = daemon_.folder() + "/run/ring.sock";
};

TEST_F(KeptListenersTest, whoConnectsWhileTheDaemonIsDead_isServedByTheNext) {
  EXPECT_EQ(manager_.kept_for("/run/vm/disk.sock").size(), 1u);
  EXPECT_EQ(manager_.kept_for("/run/ring.sock").size(), 1u);
  for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
    daemon_.end(signal);
    manager_.listen();
    UniqueFd connection = connect_to(socket_);
    ASSERT_TRUE(connection.valid());
    UniqueFd ring_connection = connect_to(ring_, SOCK_SEQPACKET);
    ASSERT_TRUE(ring_connection.valid());
    ring::TestClient client(std::move(ring_connection));
    client.send(
        ring::TestClient::make_hello(ring::Attach::kPages, "early" + std::to_string(signal)));
    daemon_.start();
    ASSERT_NO_FATAL_FAILURE(expect_served(std::move(connection)));
    EXPECT_TRUE(client.receive_as<ring::Welcome>().has_value());
  }
  EXPECT_EQ(manager_.kept_for("/run/vm/disk.sock").size(), 1u);
}

TEST_F(KeptListenersTest, removedVm_isNotKept) {
  ASSERT_EQ(daemon_.fallow({"vm", "remove", "disk"}).exit_code, 0);
  EXPECT_TRUE(manager_.kept_for("/run/vm/disk.sock").empty());
  EXPECT_FALSE(std::filesystem::exists(socket_));
}

TEST_F(KeptListenersTest, vmThatDoesNotComeBack_isNotListenedFor) {
  ASSERT_EQ(daemon_.fallow({"vm", "add", "empty", "--size", "4M"}).exit_code, 0);
  EXPECT_EQ(manager_.kept_for("/run/vm/empty.sock").size(), 1u);
  daemon_.end(SIGTERM);
  manager_.listen();
  daemon_.start();
  ASSERT_TRUE(daemon_.wait_ready()) << daemon_.log();
  EXPECT_TRUE(manager_.kept_for("/run/vm/empty.sock").empty());
  EXPECT_FALSE(std::filesystem::exists(daemon_.disk_socket("empty")));
  expect_served(connect_to(socket_));
}

TEST_F(KeptListenersTest, pathThatLeadsElsewhere_isListenedOnAnew) {
  const auto before = manager_.kept_for("/run/vm/disk.sock");
  daemon_.end(SIGKILL);
  ::unlink(socket_.c_str());
  { const auto other = listen_unix(socket_, 1); }  // another socket, that nobody listens on
  daemon_.start();
  ASSERT_TRUE(daemon_.wait_ready()) << daemon_.log();
  const auto after = manager_.kept_for("/run/vm/disk.sock");
  ASSERT_EQ(after.size(), 1u);
  EXPECT_NE(after, before);
  expect_served(connect_to(socket_));
}

TEST_F(KeptListenersTest, keptByNobody_socketGoesWithTheDaemon) {
  Daemon alone;
  ASSERT_TRUE(alone.wait_ready()) << alone.log();
  ASSERT_EQ(alone.fallow({"vm", "add", "disk", "--size", "4M"}).exit_code, 0);
  ASSERT_TRUE(std::filesystem::exists(alone.disk_socket("disk")));
  alone.end(SIGTERM);
  EXPECT_FALSE(std::filesystem::exists(alone.disk_socket("disk")));
}

}  // namespace
}  // namespace fallow::test
