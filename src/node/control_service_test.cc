#include "node/control_service.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include "base/temp_dir.h"
#include "node/control_client.h"
#include "node/record_file.h"
#include "recording/file.h"

namespace fallow::node {
namespace {

using testing::HasSubstr;

// Which do not get smaller when they are packed.
std::vector<recording::Operation> random_operations(std::size_t count) {
  std::mt19937_64 random(count);
  std::vector<recording::Operation> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back({.at_ns = i, .object = random(), .index = static_cast<std::uint32_t>(random())});
  }
  return all;
}

// What is recorded of it: a large part, which takes several messages, and then small ones.
constexpr std::size_t kLargePart = 250'000;
constexpr std::size_t kSmallPart = 10;

class FakeRecording final : public RecordingSource {
 public:
  [[nodiscard]] recording::NodeNote node() const override { return {.frames = 77}; }
  RecordedPart take() override {
    const auto operations = random_operations(++parts_ == 1 ? kLargePart : kSmallPart);
    return {.blocks = recording::blocks_of(operations),
            .operations = operations.size(),
            .notes = 3,
            .missing = parts_};
  }

 private:
  std::uint64_t parts_ = 0;
};

// One VM, "a", and a memory of what was asked.
class FakeNode final : public Operations {
 public:
  [[nodiscard]] NodeView status() const override {
    return {.version = "1.2.3",
            .epoch = 7,
            .frames_total = 1000,
            .policy = "greedy",
            .backing_speed = "hdd (emulated)"};
  }
  [[nodiscard]] NodeSnapshot list_vms() const override {
    return {status(), {vm()}, {client(), {.name = "silent"}}};
  }
  [[nodiscard]] Result<VmView> show_vm(const std::string& name) const override {
    if (name != "a") {
      return Error{ErrorCode::kNotFound, "no VM is called '" + name + "'"};
    }
    return vm();
  }
  [[nodiscard]] Result<Explanation> explain_vm(const std::string& name) const override {
    Explanation explanation{
        .policy = "greedy",
        .findings = {"first", "second"},
        .history = {.known_ns = 7, .changes = {{.age_ns = 5, .reason = "because"}}}};
    if (name == "pager") {
      explanation.history.last_loss = {.change = {.target_before = 9, .reason = "lost"},
                                       .rises = {{"a", 4}},
                                       .others = 2,
                                       .others_pages = 3};
      explanation.history.reads_saved_by_tenth = 1.5;
      explanation.client = client();
    } else {
      explanation.vm = vm();
    }
    return explanation;
  }
  [[nodiscard]] Result<VmView> add_vm(const VmRequest& request) override {
    {
      const std::lock_guard lock(mutex_);
      asked_ = request;
    }
    if (request.name == "a") {
      return Error{ErrorCode::kExists, "there already is a VM 'a'"};
    }
    return vm();
  }
  [[nodiscard]] Result<VmView> resize_vm(const std::string& name,
                                         std::uint64_t size_bytes) override {
    VmView resized = vm();
    resized.name = name;
    resized.size_bytes = size_bytes;
    return resized;
  }
  [[nodiscard]] Status remove_vm(const std::string& name, RemoveMode mode) override {
    if (mode == RemoveMode::kIfIdle) {
      return failed("VM '" + name + "' is in use");
    }
    return {};
  }
  [[nodiscard]] Result<QuotaView> set_quota(const std::string& name,
                                            const QuotaRequest& change) override {
    if (change.min == "bad") {
      return invalid("min: 'bad'");
    }
    return QuotaView{name, change, {1, 2, 3}, true};
  }
  [[nodiscard]] Status clear_quota(const std::string& name) override {
    return name == "a" ? Status() : Error{ErrorCode::kNotFound, "'" + name + "' has no quota"};
  }
  [[nodiscard]] std::vector<QuotaView> list_quotas() const override {
    return {{"a", {"64M", "10%", 7}, {4, 5, 6}, true}, {"b", {}, {}, false}};
  }
  [[nodiscard]] CurrentPolicy show_policy() const override {
    return {"greedy", {"greedy", "first come", ""}};
  }
  [[nodiscard]] std::vector<PolicyView> list_policies() const override {
    return {{"greedy", "first come", ""}, {"x", "y", "z"}};
  }
  [[nodiscard]] Result<PolicySwitch> set_policy(const std::string& spec) override {
    if (spec == "bad") {
      return invalid("no such policy");
    }
    return PolicySwitch{spec, "greedy"};
  }

  [[nodiscard]] Result<std::unique_ptr<RecordingSource>> record() override {
    return std::unique_ptr<RecordingSource>(std::make_unique<FakeRecording>());
  }

  [[nodiscard]] VmRequest asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  static VmView vm() {
    VmView view{.name = "a", .size_bytes = 1 << 20, .connected = true, .used = 3, .target = 4};
    view.total = {1, 2, 3, 4, 5, 6, 7, 8};
    view.interval.puts_total = 9;
    view.io_errors = 10;
    view.reason = "why";
    view.quota = {.min = 11, .max = 12, .weight = 13};
    return view;
  }

  static ClientView client() {
    ClientView view{.name = "pager", .connected = true, .used = 3};
    view.report = {1, 2, 3, 4, 5, 6, 7, 8, 9, 18, 19, 10, 11, 12, {{13, 14}, {15, 6}}};
    view.quota.weight = 17;
    return view;
  }

  mutable std::mutex mutex_;
  VmRequest asked_;  // guarded by mutex_
};

class ControlServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = *EventLoop::create();
    auto server = ControlServer::create(path_, *loop_, node_);
    ASSERT_TRUE(server.ok()) << server.error().text;
    server_ = *std::move(server);
    thread_ = std::thread([this] { loop_->run(); });
  }
  void TearDown() override {
    loop_->stop();
    thread_.join();
    server_.reset();
  }

  TempDir folder_;
  const std::string path_ = folder_.path() + "/control.sock";
  FakeNode node_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ControlServer> server_;
  std::thread thread_;
};

TEST_F(ControlServiceTest, Status_overTheSocket_arrivesWhole) {
  const auto status = ControlClient(path_).status();
  ASSERT_TRUE(status.ok()) << status.error().text;
  EXPECT_EQ(status->version, "1.2.3");
  EXPECT_EQ(status->epoch, 7u);
  EXPECT_EQ(status->backing_speed, "hdd (emulated)");
  EXPECT_EQ(status->frames_total, 1000u);
}

TEST_F(ControlServiceTest, Vms_overTheSocket_arriveWhole) {
  const ControlClient client(path_);
  const auto list = client.list_vms();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->vms.size(), 1u);
  const VmView& vm = list->vms[0];
  EXPECT_EQ(vm.name, "a");
  EXPECT_TRUE(vm.connected);
  EXPECT_EQ(vm.total.pages_demoted, 8u);
  EXPECT_EQ(vm.interval.puts_total, 9u);
  EXPECT_EQ(vm.io_errors, 10u);
  EXPECT_EQ(client.show_vm("a")->reason, "why");
  EXPECT_EQ(vm.quota, (policy::Quota{11, 12, 13}));
}

TEST_F(ControlServiceTest, Clients_overTheSocket_arriveWithWhatTheySay) {
  const ControlClient client(path_);
  const auto list = client.list_vms();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->clients.size(), 2u);
  EXPECT_FALSE(list->clients[1].report.has_value());
  const auto explanation = client.explain_vm("pager");
  ASSERT_TRUE(explanation.ok());
  ASSERT_TRUE(explanation->client.has_value());
  EXPECT_FALSE(client.explain_vm("a")->client.has_value());
  for (const ClientView& view : {list->clients[0], *explanation->client}) {
    EXPECT_EQ(view.name, "pager");
    EXPECT_EQ(view.quota, (policy::Quota{.weight = 17}));
    ASSERT_TRUE(view.report.has_value());
    const MemoryReport& said = *view.report;
    EXPECT_THAT((std::vector{said.age_ns, said.ram_limit_pages, said.resident_pages,
                             said.faults_total, said.evictions_total, said.prefetched_total,
                             said.prefetch_hits_total, said.backing_pages, said.working_set_pages,
                             said.interval_ns, said.interval_faults, said.interval_evictions,
                             said.backing_reads_total, said.backing_wait_ns_total}),
                testing::ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 18, 19));
    ASSERT_EQ(said.curve.size(), 2u);
    EXPECT_EQ(said.curve[1].pages, 15u);
    EXPECT_EQ(said.curve[1].misses_per_million, 6u);
  }
}

TEST_F(ControlServiceTest, Errors_overTheSocket_keepCodeAndText) {
  const ControlClient client(path_);
  EXPECT_EQ(client.show_vm("b").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(client.show_vm("b").error().text, "no VM is called 'b'");
  EXPECT_EQ(client.add_vm({.name = "a"}).error().code, ErrorCode::kExists);
  EXPECT_EQ(client.set_policy("bad").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(client.remove_vm("a", RemoveMode::kIfIdle).error().code, ErrorCode::kFailed);
  EXPECT_TRUE(client.remove_vm("a", RemoveMode::kForce).ok());
}

TEST_F(ControlServiceTest, AddVm_request_arrivesWhole) {
  const ControlClient client(path_);
  ASSERT_TRUE(client.add_vm({"b", 4096, "/x", true, tmem::Compression::kLz4}).ok());
  EXPECT_EQ(node_.asked().name, "b");
  EXPECT_EQ(node_.asked().size_bytes, 4096u);
  EXPECT_EQ(node_.asked().backing_path, "/x");
  EXPECT_TRUE(node_.asked().discard_backing);
  EXPECT_EQ(node_.asked().compression, tmem::Compression::kLz4);
}

TEST_F(ControlServiceTest, Quotas_overTheSocket_arriveWhole) {
  const ControlClient client(path_);
  const QuotaRequest change{"1G", "none", 300};
  const auto set = client.set_quota("c", change);
  ASSERT_TRUE(set.ok()) << set.error().text;
  EXPECT_EQ(set->name, "c");
  EXPECT_EQ(set->request, change);
  EXPECT_EQ(set->quota, (policy::Quota{1, 2, 3}));
  EXPECT_TRUE(set->present);
  EXPECT_EQ(client.set_quota("c", {"bad", "", 0}).error().text, "min: 'bad'");
  EXPECT_EQ(client.set_quota("c", {"bad", "", 0}).error().code, ErrorCode::kInvalid);
  EXPECT_TRUE(client.clear_quota("a").ok());
  EXPECT_EQ(client.clear_quota("b").error().code, ErrorCode::kNotFound);
  const auto all = client.list_quotas();
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].request, (QuotaRequest{"64M", "10%", 7}));
  EXPECT_EQ((*all)[0].quota, (policy::Quota{4, 5, 6}));
  EXPECT_EQ((*all)[1].quota, policy::Quota{});
  EXPECT_FALSE((*all)[1].present);
}

TEST_F(ControlServiceTest, AddVm_quota_arrivesWhole) {
  VmRequest request{.name = "b", .size_bytes = 4096};
  request.quota = {"10%", "none", 5};
  ASSERT_TRUE(ControlClient(path_).add_vm(request).ok());
  EXPECT_EQ(node_.asked().quota, request.quota);
}

TEST_F(ControlServiceTest, Policies_overTheSocket_arriveWhole) {
  const ControlClient client(path_);
  EXPECT_EQ(client.show_policy()->policy.summary, "first come");
  EXPECT_EQ(client.list_policies()->at(1).settings, "z");
  EXPECT_EQ(client.set_policy("no-tmem")->previous, "greedy");
  const auto explanation = client.explain_vm("a");
  EXPECT_THAT(explanation->findings, testing::ElementsAre("first", "second"));
  EXPECT_EQ(explanation->history.changes.at(0).reason, "because");
  EXPECT_EQ(explanation->history.known_ns, 7u);
  EXPECT_FALSE(explanation->history.last_loss.has_value());
  EXPECT_FALSE(explanation->history.reads_saved_by_tenth.has_value());
}

TEST_F(ControlServiceTest, LastLoss_overTheSocket_arrivesWhole) {
  const auto history = ControlClient(path_).explain_vm("pager")->history;
  ASSERT_TRUE(history.last_loss.has_value());
  EXPECT_EQ(history.last_loss->change.target_before, 9u);
  EXPECT_EQ(history.last_loss->change.reason, "lost");
  ASSERT_EQ(history.last_loss->rises.size(), 1u);
  EXPECT_EQ(history.last_loss->rises[0].name, "a");
  EXPECT_EQ(history.last_loss->rises[0].pages, 4u);
  EXPECT_EQ(history.last_loss->others, 2u);
  EXPECT_EQ(history.last_loss->others_pages, 3u);
  EXPECT_EQ(history.reads_saved_by_tenth, 1.5);
}

TEST_F(ControlServiceTest, Record_overTheSocket_arrivesWholeUntilItIsStopped) {
  std::string blocks;
  std::uint64_t operations = 0;
  std::uint64_t missing = 0;
  const Status recorded = ControlClient(path_).record([&] { return missing >= 3; },
                                                      [&](const RecordedPart& part) -> Status {
                                                        blocks += part.blocks;
                                                        operations += part.operations;
                                                        missing = part.missing;
                                                        return {};
                                                      });
  EXPECT_TRUE(recorded.ok()) << recorded.error().text;
  EXPECT_EQ(operations, kLargePart + 2 * kSmallPart);
  const std::string small = recording::blocks_of(random_operations(kSmallPart));
  EXPECT_TRUE(blocks == recording::beginning_of({.frames = 77}) +
                            recording::blocks_of(random_operations(kLargePart)) + small + small);
}

// Whoever stops it does so as soon as anything of the large part has come.
TEST_F(ControlServiceTest, Record_stoppedAmidAPart_endsBehindIt) {
  const std::string large = recording::blocks_of(random_operations(kLargePart));
  ASSERT_GT(large.size(), std::size_t{2} << 20);
  const std::string path = folder_.path() + "/run.trace";
  RecordingFile file(path);
  const std::uint64_t beginning = recording::beginning_of({.frames = 77}).size();
  const Status recorded = file.record(ControlClient(path_), [&](const RecordedFigures& figures) {
    return figures.bytes > beginning;
  });
  ASSERT_TRUE(recorded.ok()) << recorded.error().text;
  ASSERT_TRUE(file.end().ok());
  EXPECT_EQ(file.figures().operations, kLargePart);
  EXPECT_FALSE(file.figures().full);
  const auto read = recording::read_recording(path);
  ASSERT_TRUE(read.ok()) << read.error().text;
  EXPECT_TRUE(read->whole);
  EXPECT_EQ(read->missing, 1u);
  EXPECT_TRUE(read->operations == random_operations(kLargePart));
}

TEST_F(ControlServiceTest, Record_moreThanIsRead_endsByItselfBefore) {
  for (const RecordingLimits limits :
       {RecordingLimits{.operations = kLargePart + 2 * kSmallPart}, RecordingLimits{.notes = 7}}) {
    const std::string path = folder_.path() + "/run.trace";
    RecordingFile file(path, limits);
    const Status recorded =
        file.record(ControlClient(path_), [](const RecordedFigures&) { return false; });
    ASSERT_TRUE(recorded.ok()) << recorded.error().text;
    ASSERT_TRUE(file.end().ok());
    EXPECT_TRUE(file.figures().full);
    EXPECT_EQ(file.figures().operations, kLargePart + 2 * kSmallPart);
    EXPECT_EQ(file.figures().notes, 9u);
    const auto read = recording::read_recording(path);
    ASSERT_TRUE(read.ok()) << read.error().text;
    EXPECT_TRUE(read->whole);
    EXPECT_EQ(read->operations.size(), kLargePart + 2 * kSmallPart);
  }
}

TEST_F(ControlServiceTest, Record_theTakersError_endsIt) {
  const Status recorded = ControlClient(path_).record(
      [] { return false; }, [](const RecordedPart&) -> Status { return failed("disk full"); });
  ASSERT_FALSE(recorded.ok());
  EXPECT_EQ(recorded.error().text, "disk full");
}

TEST_F(ControlServiceTest, Socket_mode_isForTheOwnerOnly) {
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(ControlServiceTest, Create_secondDaemon_refusedAndFirstStillServes) {
  const auto second = ControlServer::create(path_, *loop_, node_);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().text, HasSubstr("running"));
  EXPECT_TRUE(ControlClient(path_).status().ok());
}

TEST_F(ControlServiceTest, Garbage_onTheSocket_harmsNoOther) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const std::string garbage(100'000, '\xff');
  (void)::send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL);
  EXPECT_TRUE(ControlClient(path_).status().ok());
  ::close(fd);
}

TEST(ControlServer, Create_pathIsAFile_refusedAndFileStays) {
  const TempDir folder;
  const std::string path = folder.path() + "/file";
  std::ofstream(path) << "precious";
  FakeNode node;
  const auto loop = EventLoop::create();
  EXPECT_FALSE(ControlServer::create(path, **loop, node).ok());
  std::string text;
  std::ifstream(path) >> text;
  EXPECT_EQ(text, "precious");
}

TEST(ControlClient, Status_noDaemon_unreachable) {
  const TempDir folder;
  const auto status = ControlClient(folder.path() + "/none.sock").status();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUnreachable);
  EXPECT_THAT(status.error().text, HasSubstr("none.sock"));
}

}  // namespace
}  // namespace fallow::node
