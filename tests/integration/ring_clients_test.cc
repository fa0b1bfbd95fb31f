// Clients over rings, with the programs as they run: pages that wait for a client that is killed,
// while the daemon is killed as well; and what a client says of itself.

#include <fallow/fallow.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "integration/program.h"

namespace fallow::test {
namespace {

using nlohmann::json;

constexpr std::uint32_t kPages = 100;

class RingClients : public testing::Test {
 protected:
  RingClients() { EXPECT_TRUE(daemon_.wait_ready()) << daemon_.log(); }

  fallow_client* connect(const fallow_secret* secret) {
    const std::string socket = daemon_.folder() + "/run/ring.sock";
    fallow_options options{};
    options.size = sizeof options;
    options.socket = socket.c_str();
    options.name = "pager";
    options.keep_seconds = 300;
    options.secret = secret;
    fallow_client* client = nullptr;
    EXPECT_EQ(fallow_connect(&options, &client), 0) << fallow_error() << daemon_.log();
    return client;
  }
  static fallow_queue* open(fallow_client* client, fallow_pool& pool) {
    fallow_queue* queue = nullptr;
    EXPECT_EQ(fallow_queue_open(client, 0, &queue), 0);
    EXPECT_EQ(fallow_pool_open(queue, FALLOW_PERSISTENT, 1, &pool), 0);
    return queue;
  }
  static void fill(std::uint32_t (&page)[FALLOW_PAGE_SIZE / 4], std::uint32_t number) {
    for (std::uint32_t i = 0; i < FALLOW_PAGE_SIZE / 4; ++i) {
      page[i] = number * 2654435761u + i;
    }
  }
  static void put_all(fallow_client* client) {
    fallow_pool pool = 0;
    fallow_queue* queue = open(client, pool);
    std::uint32_t page[FALLOW_PAGE_SIZE / 4];
    for (std::uint32_t i = 0; i < kPages; ++i) {
      fill(page, i);
      EXPECT_EQ(fallow_put(queue, pool, 0, i, page), 0);
    }
  }
  static void check_all(fallow_client* client) {
    fallow_pool pool = 0;
    fallow_queue* queue = open(client, pool);
    std::uint32_t page[FALLOW_PAGE_SIZE / 4];
    std::uint32_t expected[FALLOW_PAGE_SIZE / 4];
    for (std::uint32_t i = 0; i < kPages; ++i) {
      fill(expected, i);
      ASSERT_EQ(fallow_get(queue, pool, 0, i, page), 0) << i << fallow_error();
      ASSERT_EQ(std::memcmp(page, expected, sizeof page), 0) << i;
    }
  }
  // Puts its pages and is killed.
  fallow_secret client_that_dies() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      fallow_client* client = connect(nullptr);
      put_all(client);
      fallow_secret secret{};
      fallow_secret_of(client, &secret);
      ::_exit(::write(ends[1], &secret, sizeof secret) == sizeof secret ? ::pause() : 1);
    }
    fallow_secret secret{};
    EXPECT_EQ(::read(ends[0], &secret, sizeof secret), static_cast<ssize_t>(sizeof secret));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(ends[0]);
    ::close(ends[1]);
    return secret;
  }
  // Waits for what the daemon is about to notice.
  bool clients_become(const std::function<bool(const json&)>& wanted) {
    for (int i = 0; i < 1000; ++i) {
      const json list = json::parse(daemon_.fallow({"client", "list", "--json"}).out);
      if (wanted(list.at("clients"))) {
        return true;
      }
      ::usleep(10'000);
    }
    return false;
  }
  static bool waits(const json& clients) {
    return clients.size() == 1 && !clients[0].at("connected") && clients[0].at("used") >= kPages;
  }

  Daemon daemon_;
};

TEST_F(RingClients, clientKilled_comesBack) {
  const fallow_secret secret = client_that_dies();
  ASSERT_TRUE(clients_become(waits)) << daemon_.log();
  fallow_client* client = connect(&secret);
  EXPECT_EQ(fallow_resumed(client), 1);
  check_all(client);
  fallow_close(client);
  EXPECT_TRUE(clients_become([](const json& clients) { return clients.empty(); }));
}

TEST_F(RingClients, report_isShownAsWhatTheClientSays) {
  fallow_client* client = connect(nullptr);
  fallow_pool pool = 0;
  fallow_queue* queue = open(client, pool);
  EXPECT_TRUE(json::parse(daemon_.fallow({"client", "list", "--json"}).out)
                  .at("clients")[0]
                  .at("report")
                  .is_null());
  fallow_memory_report report{};
  report.ram_limit_pages = 65536;
  report.working_set_pages = 79360;
  report.faults_total = 100;
  ASSERT_EQ(fallow_report(queue, &report), 0) << fallow_error();
  report.faults_total = 142;
  ASSERT_EQ(fallow_report(queue, &report), 0) << fallow_error();
  const json shown = json::parse(daemon_.fallow({"explain", "pager", "--json"}).out).at("client");
  EXPECT_EQ(shown.at("name"), "pager");
  EXPECT_EQ(shown.at("report").at("ram_limit_pages"), 65536);
  EXPECT_EQ(shown.at("report").at("interval_faults"), 42);
  EXPECT_NE(daemon_.fallow({"explain", "pager"}).out.find("working set 310 MiB"),
            std::string::npos);
  EXPECT_EQ(daemon_.fallow({"explain", "nobody"}).exit_code, 1);
  fallow_close(client);
}

TEST_F(RingClients, clientAndDaemonKilled_comesBack) {
  const fallow_secret secret = client_that_dies();
  ASSERT_TRUE(clients_become(waits)) << daemon_.log();
  daemon_.kill_and_restart();
  ASSERT_TRUE(daemon_.wait_ready()) << daemon_.log();
  ASSERT_TRUE(clients_become(waits)) << daemon_.log();
  fallow_client* client = connect(&secret);
  EXPECT_EQ(fallow_resumed(client), 1);
  check_all(client);
  EXPECT_EQ(fallow_leave(client), 0);
  EXPECT_TRUE(clients_become(waits));
  client = connect(&secret);
  check_all(client);
  fallow_close(client);
  EXPECT_TRUE(clients_become([](const json& clients) { return clients.empty(); }));
}

TEST_F(RingClients, quotaOfTheName_holdsForWhoComesByIt) {
  ASSERT_EQ(daemon_.fallow({"quota", "set", "pager", "--max", "200K"}).exit_code, 0);
  fallow_client* client = connect(nullptr);
  fallow_pool pool = 0;
  fallow_queue* queue = open(client, pool);
  std::uint32_t page[FALLOW_PAGE_SIZE / 4];
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < kPages; ++i) {
    fill(page, i);
    kept += fallow_put(queue, pool, 0, i, page) == 0 ? 1 : 0;
  }
  EXPECT_EQ(kept, 50u);
  const json shown = json::parse(daemon_.fallow({"client", "list", "--json"}).out).at("clients");
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_EQ(shown[0].at("quota").at("max"), 50);
  EXPECT_EQ(shown[0].at("used"), 50);
  fallow_close(client);
}

}  // namespace
}  // namespace fallow::test
