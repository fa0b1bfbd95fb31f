// A daemon's operations recorded by `fallow record`, with the programs as they run, and replayed.
#include <fallow/fallow.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "integration/program.h"
#include "recording/file.h"

namespace fallow::test {
namespace {

using nlohmann::json;
using recording::Kind;
using recording::Outcome;
using testing::ElementsAre;
using testing::HasSubstr;

class Record : public testing::Test {
 protected:
  Record() { EXPECT_TRUE(daemon_.wait_ready()) << daemon_.log(); }

  [[nodiscard]] std::string file() const { return folder_.path() + "/run.trace"; }
  [[nodiscard]] std::vector<std::string> command() const {
    return {bin("fallow"), "--socket", daemon_.control_socket(), "--json", "record", file()};
  }
  // Waits until the file, which is still written, holds what `enough` looks for. For half a minute.
  template <typename Enough>
  void wait_recorded(const char* what, Enough enough) const {
    std::string last = "no file";
    for (int i = 0; i < 1500; ++i) {
      const auto read = recording::read_recording(file());
      if (read && enough(*read)) {
        return;
      }
      last = read ? std::to_string(read->operations.size()) + " operations and " +
                        std::to_string(read->notes.size()) + " notes"
                  : read.error().text;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    FAIL() << "the recording never got " << what << ": " << last;
  }
  // The file has its beginning once the daemon records.
  void wait_begun() const {
    wait_recorded("its beginning", [](const recording::Recording&) { return true; });
  }

  void use_client() const {
    const std::string socket = daemon_.folder() + "/run/ring.sock";
    fallow_options options{};
    options.size = sizeof options;
    options.socket = socket.c_str();
    options.name = "user";
    fallow_client* client = nullptr;
    ASSERT_EQ(fallow_connect(&options, &client), 0) << fallow_error();
    fallow_queue* queue = nullptr;
    fallow_pool pool = 0;
    ASSERT_EQ(fallow_queue_open(client, 0, &queue), 0);
    ASSERT_EQ(fallow_pool_open(queue, FALLOW_PERSISTENT, 1, &pool), 0);
    alignas(4096) unsigned char page[FALLOW_PAGE_SIZE];
    for (std::size_t i = 0; i < sizeof page; ++i) {
      page[i] = static_cast<unsigned char>(i * 7 + i / 256);
    }
    EXPECT_EQ(fallow_put(queue, pool, 5, 10, page), 0);
    EXPECT_EQ(fallow_put(queue, pool, 5, 11, page), 0);
    EXPECT_EQ(fallow_get(queue, pool, 5, 11, page), 0);
    EXPECT_LT(fallow_get(queue, pool, 5, 12, page), 0);
    std::memset(page, 3, sizeof page);
    EXPECT_EQ(fallow_put(queue, pool, 6, 1, page), 0);
    EXPECT_EQ(fallow_flush_page(queue, pool, 5, 10), 1);
    std::uint32_t pages = 0;
    EXPECT_EQ(fallow_flush_object(queue, pool, 5, &pages), 0);
    fallow_queue_close(queue);
    // Clients are noted some times a second, while they are there.
    wait_recorded("a note of the client", [](const auto& so_far) { return !so_far.notes.empty(); });
    fallow_close(client);
  }

  const TempDir folder_;
  Daemon daemon_;
};

TEST_F(Record, aFileHasEveryOperationAndNoOther) {
  Background recorder(command(), folder_.path() + "/log");
  wait_begun();
  ASSERT_NO_FATAL_FAILURE(use_client());
  wait_recorded("the end of the client", [](const auto& so_far) {
    return !so_far.operations.empty() && so_far.operations.back().kind == Kind::kClientGone;
  });
  EXPECT_EQ(recorder.end(SIGTERM), 0) << read_file(folder_.path() + "/log");

  const auto read = recording::read_recording(file());
  ASSERT_TRUE(read.ok()) << read.error().text;
  EXPECT_TRUE(read->whole);
  EXPECT_EQ(read->missing, 0u);
  EXPECT_EQ(read->node.policy, "greedy");
  using Seen = std::tuple<Kind, std::uint64_t, std::uint32_t, Outcome>;
  std::vector<Seen> seen;
  std::uint64_t last_ns = 0;
  for (const recording::Operation& one : read->operations) {
    seen.emplace_back(one.kind, one.object, one.index, one.outcome);
    EXPECT_GE(one.at_ns, last_ns);
    last_ns = one.at_ns;
  }
  EXPECT_THAT(
      seen,
      ElementsAre(Seen{Kind::kPut, 5, 10, Outcome::kDone}, Seen{Kind::kPut, 5, 11, Outcome::kDone},
                  Seen{Kind::kGet, 5, 11, Outcome::kDone}, Seen{Kind::kGet, 5, 12, Outcome::kNot},
                  Seen{Kind::kPut, 6, 1, Outcome::kWithoutFrame},
                  Seen{Kind::kFlush, 5, 10, Outcome::kDone},
                  Seen{Kind::kFlushObject, 5, 0, Outcome::kDone},
                  Seen{Kind::kFlushPool, 0, 0, Outcome::kDone},
                  Seen{Kind::kClientGone, 0, 0, Outcome::kDone}));
  ASSERT_FALSE(read->notes.empty());
  EXPECT_EQ(read->notes.front().name, "user");
  const std::string log = read_file(folder_.path() + "/log");
  EXPECT_EQ(json::parse(log.substr(log.find('{'))).at("operations"), 9);

  const auto outcome = run({bin("fallow-sim"), "replay", file(), "--json", "--policies",
                            "greedy,no-tmem", "--backing", "ssd"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json policies = json::parse(outcome.out).at("policies");
  EXPECT_EQ(policies.at(0).at("policy"), "greedy");
  EXPECT_EQ(policies.at(0).at("refaults"), 0);
  EXPECT_EQ(policies.at(1).at("refaults"), 1);
  EXPECT_EQ(policies.at(1).at("clients").at(0).at("name"), "user");
}

TEST_F(Record, oneAtATimeAndForSoLong) {
  std::vector<std::string> words = command();
  Background recorder(words, folder_.path() + "/log");
  wait_begun();
  words.back() = folder_.path() + "/other.trace";
  const auto second = run(words);
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, HasSubstr("under way already"));
  EXPECT_EQ(recorder.end(SIGINT), 0);
  words.insert(words.end(), {"--for", "100ms"});
  const auto timed = run(words);
  EXPECT_EQ(timed.exit_code, 0) << timed.err;
  EXPECT_EQ(json::parse(timed.out).at("missing"), 0);
}

TEST_F(Record, whatIsNoRecordingIsRefused) {
  std::ofstream(file()) << "not a recording, whatever it is called";
  const auto garbage = run({bin("fallow-sim"), "replay", file()});
  EXPECT_EQ(garbage.exit_code, 2);
  EXPECT_THAT(garbage.err, HasSubstr("it is no recording"));
  EXPECT_EQ(std::count(garbage.err.begin(), garbage.err.end(), '\n'), 1);
  for (const std::vector<std::string>& bad :
       std::vector<std::vector<std::string>>{{"--policies", "best"},
                                             {"--backing", "tape"},
                                             {"--memory", "12"},
                                             {"--interval", "0s"},
                                             {"--demotion", "fast"}}) {
    std::vector<std::string> words = {bin("fallow-sim"), "replay", file()};
    words.insert(words.end(), bad.begin(), bad.end());
    EXPECT_EQ(run(words).exit_code, 2) << bad.front();
  }
  const auto nowhere = run({bin("fallow"), "--socket", folder_.path() + "/none", "record", file()});
  EXPECT_EQ(nowhere.exit_code, 3) << nowhere.err;
  EXPECT_THAT(read_file(file()), HasSubstr("not a recording"));
}

}  // namespace
}  // namespace fallow::test
