// The C API: pages that outlive their client, and come back to the next one.

#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstddef>

#include "client/fake_daemon.h"
#include "client/test_client.h"
#include "frontend/ring/test_fixtures.h"

namespace fallow::client {
namespace {

using ring::eventually;

class KeepTest : public testing::Test {
 protected:
  static constexpr unsigned kSeconds = 60;

  int try_connect(const fallow_secret* secret, unsigned keep_seconds, fallow_client*& client) {
    const std::string path = node_.path();
    fallow_options options{};
    options.size = sizeof options;
    options.socket = path.c_str();
    options.name = "keeper";
    options.secret = secret;
    options.keep_seconds = keep_seconds;
    return fallow_connect(&options, &client);
  }
  OwnedClient connect(const fallow_secret* secret, unsigned keep_seconds = kSeconds) {
    fallow_client* client = nullptr;
    EXPECT_EQ(try_connect(secret, keep_seconds, client), 0) << fallow_error();
    return OwnedClient(client);
  }
  static fallow_secret secret_of(const OwnedClient& client) {
    fallow_secret secret{};
    EXPECT_EQ(fallow_secret_of(client.get(), &secret), 0);
    return secret;
  }
  static void put(const OwnedClient& client, std::uint64_t number) {
    fallow_queue* queue = open_queue(client);
    const PageWords page = numbered_page(number);
    EXPECT_EQ(fallow_put(queue, open_pool(queue, 1), 0, 0, &page), 0);
  }
  static bool has(const OwnedClient& client, std::uint64_t number) {
    fallow_queue* queue = open_queue(client);
    PageWords page;
    return fallow_get(queue, open_pool(queue, 1), 0, 0, &page) == 0 &&
           page == numbered_page(number);
  }
  ring::TestNode node_;
};

TEST_F(KeepTest, Leave_pagesWaitForTheSecret) {
  OwnedClient client = connect(nullptr);
  EXPECT_EQ(fallow_resumed(client.get()), 0);
  put(client, 1);
  const fallow_secret secret = secret_of(client);
  EXPECT_EQ(fallow_leave(client.release()), 0) << fallow_error();
  ASSERT_TRUE(eventually([&] { return node_.host.waiting() == 1; }));

  fallow_client* other = nullptr;
  EXPECT_EQ(try_connect(nullptr, 0, other), -EBUSY);

  client = connect(&secret);
  EXPECT_EQ(fallow_resumed(client.get()), 1);
  EXPECT_TRUE(has(client, 1));
}

TEST_F(KeepTest, Close_pagesAreDropped) {
  OwnedClient client = connect(nullptr);
  put(client, 1);
  const fallow_secret secret = secret_of(client);
  client.reset();
  EXPECT_TRUE(eventually([&] { return node_.host.clients() == 0; }));
  client = connect(&secret);
  EXPECT_EQ(fallow_resumed(client.get()), 0);
  EXPECT_FALSE(has(client, 1));
}

TEST_F(KeepTest, Killed_pagesWait) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    OwnedClient client = connect(nullptr);
    put(client, 7);
    const fallow_secret secret = secret_of(client);
    ::_exit(::write(ends[1], &secret, sizeof secret) == sizeof secret ? ::pause() : 1);
  }
  fallow_secret secret{};
  ASSERT_EQ(::read(ends[0], &secret, sizeof secret), static_cast<ssize_t>(sizeof secret));
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(ends[0]);
  ::close(ends[1]);
  // At once: the daemon may not have noticed yet.
  const OwnedClient client = connect(&secret);
  EXPECT_EQ(fallow_resumed(client.get()), 1);
  EXPECT_TRUE(has(client, 7));
}

TEST_F(KeepTest, BackWithoutKeeping_pagesWaitNoMore) {
  OwnedClient client = connect(nullptr);
  put(client, 1);
  const fallow_secret secret = secret_of(client);
  ASSERT_EQ(fallow_leave(client.release()), 0);
  client = connect(&secret, 0);
  EXPECT_EQ(fallow_resumed(client.get()), 1);
  EXPECT_EQ(fallow_leave(client.get()), -EINVAL);
  EXPECT_TRUE(has(client, 1));  // it is still connected
}

TEST_F(KeepTest, KeepTooLong_isRefusedAndNothingLost) {
  OwnedClient client = connect(nullptr);
  put(client, 1);
  const fallow_secret secret = secret_of(client);
  ASSERT_EQ(fallow_leave(client.release()), 0);
  fallow_client* refused = nullptr;
  EXPECT_EQ(try_connect(&secret, 601, refused), -EINVAL);
  EXPECT_NE(std::string(fallow_error()).find("600"), std::string::npos) << fallow_error();
  client = connect(&secret, 600);
  EXPECT_EQ(fallow_resumed(client.get()), 1);
  EXPECT_TRUE(has(client, 1));
}

TEST_F(KeepTest, WrongSecret_isRefused) {
  OwnedClient client = connect(nullptr);
  fallow_secret secret = secret_of(client);
  ASSERT_EQ(fallow_leave(client.release()), 0);
  secret.words[1] ^= 1;
  fallow_client* refused = nullptr;
  EXPECT_EQ(try_connect(&secret, 60, refused), -EBUSY);
}

TEST(Keep, WrongUse_isInvalid) {
  const TestPlace place;
  FakeDaemon::State state;
  const FakeDaemon daemon(place.socket(), state);
  fallow_secret secret{};
  EXPECT_EQ(fallow_leave(nullptr), -EINVAL);
  EXPECT_EQ(fallow_secret_of(nullptr, &secret), -EINVAL);
  EXPECT_EQ(fallow_resumed(nullptr), -EINVAL);
  const OwnedClient client = place.connect();
  EXPECT_EQ(fallow_secret_of(client.get(), nullptr), -EINVAL);
  EXPECT_EQ(fallow_leave(client.get()), -EINVAL);
  EXPECT_EQ(daemon.keep_seconds(), 0u);

  const std::string socket = place.socket();
  fallow_options options{};
  options.size = sizeof options;
  options.socket = socket.c_str();
  options.disk = "vm";
  options.keep_seconds = 1;
  fallow_client* disk = nullptr;
  EXPECT_EQ(fallow_connect(&options, &disk), -EINVAL);
}

// What a program of the first version passes ends before the secret.
TEST(Keep, OptionsOfBefore_areUnderstood) {
  const TestPlace place;
  FakeDaemon::State state;
  const FakeDaemon daemon(place.socket(), state);
  const std::string socket = place.socket();
  fallow_options options{};
  options.size = offsetof(fallow_options, secret);
  options.socket = socket.c_str();
  options.keep_seconds = 77;
  fallow_client* client = nullptr;
  ASSERT_EQ(fallow_connect(&options, &client), 0) << fallow_error();
  EXPECT_EQ(daemon.keep_seconds(), 0u);
  fallow_close(client);
}

TEST(Keep, DaemonDies_theNextOneIsAskedToo) {
  const TestPlace place;
  FakeDaemon::State state;
  auto daemon = std::make_unique<FakeDaemon>(place.socket(), state);
  const std::string socket = place.socket();
  fallow_options options{};
  options.size = sizeof options;
  options.socket = socket.c_str();
  options.keep_seconds = 90;
  fallow_client* client = nullptr;
  ASSERT_EQ(fallow_connect(&options, &client), 0) << fallow_error();
  EXPECT_EQ(daemon->keep_seconds(), 90u);
  fallow_queue* queue = nullptr;
  ASSERT_EQ(fallow_queue_open(client, 0, &queue), 0);
  const fallow_pool pool = open_pool(queue, 1);
  const PageWords page = numbered_page(1);
  ASSERT_EQ(fallow_put(queue, pool, 0, 0, &page), 0);
  daemon.reset();
  daemon = std::make_unique<FakeDaemon>(place.socket(), state);
  PageWords back;
  EXPECT_EQ(fallow_get(queue, pool, 0, 0, &back), 0) << fallow_error();
  EXPECT_EQ(daemon->keep_seconds(), 90u);
  fallow_close(client);
  EXPECT_TRUE(eventually([&] { return daemon->goodbyes() == 1; }));
}

TEST(Keep, DaemonThatRefuses_failsTheConnection) {
  const TestPlace place;
  FakeDaemon::State state;
  FakeDaemon::Settings settings;
  settings.refuses_to_keep = EDOM;
  const FakeDaemon daemon(place.socket(), state, settings);
  const std::string socket = place.socket();
  fallow_options options{};
  options.size = sizeof options;
  options.socket = socket.c_str();
  options.keep_seconds = 5;
  fallow_client* client = nullptr;
  EXPECT_EQ(fallow_connect(&options, &client), -EDOM);
  EXPECT_STREQ(fallow_error(), "the daemon refuses: not so long");
}

}  // namespace
}  // namespace fallow::client
