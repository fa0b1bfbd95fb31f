#include "node/node.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "base/temp_dir.h"
#include "frontend/vhost_user/test_front_end.h"

namespace fallow::node {
namespace {

using testing::HasSubstr;
using vhost_user::TestFrontEnd;

constexpr std::uint64_t kVmBytes = 4 << 20;

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

class NodeTest : public testing::Test {
 protected:
  NodeTest() {
    config_.memory_bytes = 8 << 20;
    config_.arena_dir = folder_.path() + "/arena";
    config_.run_dir = folder_.path() + "/run";
    config_.backing_dir = folder_.path() + "/backing";
    config_.policy_spec = "greedy";
    config_.interval_ns = 10'000'000;
    ::mkdir(config_.arena_dir.c_str(), 0700);
  }

  Node& node() {
    if (node_ == nullptr) {
      auto made = Node::create(config_, clock_);
      EXPECT_TRUE(made.ok()) << made.error().text;
      node_ = *std::move(made);
    }
    return *node_;
  }

  std::string file_of(std::uint64_t bytes, const std::string& name) {
    const std::string path = folder_.path() + "/" + name;
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    return path;
  }

  // What is refused leaves no trace.
  std::string error_of(const VmRequest& request) {
    const std::size_t before = node().list_vms().vms.size();
    const auto added = node().add_vm(request);
    EXPECT_FALSE(added.ok());
    EXPECT_EQ(node().list_vms().vms.size(), before);
    return added.ok() ? "" : added.error().text;
  }

  // On tmpfs, as the arena asks.
  TempDir folder_{"/dev/shm"};
  Config config_;
  SystemClock clock_;
  std::unique_ptr<Node> node_;
};

std::array<std::byte, kPageSize> page_of(unsigned seed) {
  std::array<std::byte, kPageSize> page;
  for (std::size_t i = 0; i < page.size(); ++i) {
    page[i] = static_cast<std::byte>(seed * 31 + i * 7 + i / 256);
  }
  return page;
}

TEST_F(NodeTest, AddVm_serves_aFrontEndFromMemory) {
  const auto vm = node().add_vm({"a", kVmBytes, "", false});
  ASSERT_TRUE(vm.ok()) << vm.error().text;
  EXPECT_EQ(vm->target, node().status().frames_total);
  auto front = TestFrontEnd::connect(vm->socket_path, {});
  ASSERT_TRUE(front.ok()) << front.error().text;
  for (unsigned i = 0; i < 10; ++i) {
    ASSERT_EQ((*front)->write(i * kPageSize, page_of(i)), VIRTIO_BLK_S_OK);
  }
  for (unsigned i = 0; i < 10; ++i) {
    std::array<std::byte, kPageSize> page;
    ASSERT_EQ((*front)->read(i * kPageSize, page), VIRTIO_BLK_S_OK);
    EXPECT_EQ(page, page_of(i));
  }
  const auto shown = node().show_vm("a");
  EXPECT_TRUE(shown->connected);
  EXPECT_EQ(shown->used, 10u);
  EXPECT_EQ(shown->total.puts_succ, 10u);
  EXPECT_EQ(shown->memory_reads, 10u);
  EXPECT_GT(shown->put_p99_ns + 1, 0u);
}

TEST_F(NodeTest, NoTmem_sendsPagesToTheBackingFile) {
  config_.policy_spec = "no-tmem";
  const auto vm = node().add_vm({"a", kVmBytes, "", false});
  ASSERT_TRUE(vm.ok());
  auto front = TestFrontEnd::connect(vm->socket_path, {});
  ASSERT_TRUE(front.ok());
  ASSERT_EQ((*front)->write(0, page_of(1)), VIRTIO_BLK_S_OK);
  std::array<std::byte, kPageSize> page;
  ASSERT_EQ((*front)->read(0, page), VIRTIO_BLK_S_OK);
  EXPECT_EQ(page, page_of(1));
  const auto shown = node().show_vm("a");
  EXPECT_EQ(shown->used, 0u);
  EXPECT_EQ(shown->backing_pages, 1u);
  EXPECT_EQ(shown->backing_reads, 1u);
}

TEST_F(NodeTest, BackingSpeed_isEmulatedAndSaidToBe) {
  EXPECT_EQ(node().status().backing_speed, "disk");
  node_.reset();
  config_.policy_spec = "no-tmem";
  config_.backing_speed = *DiskSpeed::parse("hdd");
  EXPECT_EQ(node().status().backing_speed, "hdd (emulated)");
  const auto vm = node().add_vm({"a", kVmBytes, "", false});
  ASSERT_TRUE(vm.ok());
  auto front = TestFrontEnd::connect(vm->socket_path, {});
  ASSERT_TRUE(front.ok());
  for (unsigned i = 0; i < 4; ++i) {
    ASSERT_EQ((*front)->write(i * 9 * kPageSize, page_of(i)), VIRTIO_BLK_S_OK);
  }
  for (unsigned i = 0; i < 4; ++i) {
    std::array<std::byte, kPageSize> page;
    ASSERT_EQ((*front)->read(i * 9 * kPageSize, page), VIRTIO_BLK_S_OK);
    EXPECT_EQ(page, page_of(i));
  }
}

TEST_F(NodeTest, Start_controllerSteersTargets) {
  config_.policy_spec = "reconf-static";
  ASSERT_TRUE(node().start().ok());
  const auto vm = node().add_vm({"a", kVmBytes, "", false});
  EXPECT_EQ(vm->target, 0u);
  auto front = TestFrontEnd::connect(vm->socket_path, {});
  ASSERT_TRUE(front.ok());
  ASSERT_EQ((*front)->write(0, page_of(1)), VIRTIO_BLK_S_OK);
  while (node().show_vm("a")->target == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(node().show_vm("a")->target, node().status().frames_total);
  const auto explanation = node().explain_vm("a");
  ASSERT_FALSE(explanation->history.changes.empty());
  EXPECT_THAT(explanation->history.changes[0].reason, HasSubstr("1 puts failed so far"));
}

TEST_F(NodeTest, SetPolicy_changesTargetsAtOnce) {
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
  ASSERT_TRUE(node().add_vm({"b", kVmBytes, "", false}).ok());
  EXPECT_EQ(node().set_policy("static-alloc")->previous, "greedy");
  EXPECT_EQ(node().show_vm("a")->target, node().status().frames_total / 2);
  EXPECT_EQ(node().show_policy().spec, "static-alloc");
  EXPECT_FALSE(node().set_policy("clever").ok());
  EXPECT_EQ(node().show_policy().spec, "static-alloc");
}

TEST_F(NodeTest, AddVm_badRequests_refused) {
  EXPECT_THAT(error_of({"../a", kVmBytes, "", false}), HasSubstr("letters"));
  EXPECT_THAT(error_of({"a", 0, "", false}), HasSubstr("multiple"));
  EXPECT_THAT(error_of({"a", 4097, "", false}), HasSubstr("multiple"));
  EXPECT_THAT(error_of({"a", std::uint64_t{17} << 40, "", false}), HasSubstr("largest"));
  EXPECT_THAT(error_of({"a", kVmBytes, "relative", false}), HasSubstr("absolute"));
  EXPECT_FALSE(exists(config_.backing_dir + "/a.img"));
}

TEST_F(NodeTest, AddVm_nameTwice_refusedAndFirstStays) {
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
  const auto twice = node().add_vm({"a", kVmBytes, "", false});
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().code, ErrorCode::kExists);
  EXPECT_TRUE(TestFrontEnd::connect(node().show_vm("a")->socket_path, {}).ok());
}

TEST_F(NodeTest, AddVm_badBackingFiles_refused) {
  EXPECT_THAT(error_of({"a", kVmBytes, folder_.path() + "/none", false}), HasSubstr("exist"));
  EXPECT_THAT(error_of({"a", kVmBytes, file_of(4096, "small"), false}), HasSubstr("larger"));
  EXPECT_FALSE(error_of({"a", kVmBytes, folder_.path(), false}).empty());
}

TEST_F(NodeTest, AddVm_backingFileOfAnotherVm_refused) {
  const std::string file = file_of(kVmBytes, "file");
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, file, false}).ok());
  EXPECT_THAT(error_of({"b", kVmBytes, file, false}), HasSubstr("in use"));
  const std::string link = folder_.path() + "/link";
  ASSERT_EQ(::link(file.c_str(), link.c_str()), 0);
  EXPECT_THAT(error_of({"b", kVmBytes, link, false}), HasSubstr("in use"));
}

TEST_F(NodeTest, AddVm_backingFileWithContent_needsDiscard) {
  const std::string file = file_of(kVmBytes, "file");
  std::fstream(file) << "precious";
  EXPECT_THAT(error_of({"a", kVmBytes, file, false}), HasSubstr("discard"));
  std::string text(8, 'x');
  std::ifstream(file).read(text.data(), 8);
  EXPECT_EQ(text, "precious");
  EXPECT_TRUE(node().add_vm({"a", kVmBytes, file, true}).ok());
}

TEST_F(NodeTest, AddVm_socketPathTaken_refusedAndNothingLeft) {
  node();
  std::ofstream(config_.run_dir + "/vm/a.sock") << "precious";
  EXPECT_FALSE(error_of({"a", kVmBytes, "", false}).empty());
  EXPECT_FALSE(exists(config_.backing_dir + "/a.img"));
  EXPECT_TRUE(exists(config_.run_dir + "/vm/a.sock"));
  EXPECT_TRUE(node().add_vm({"b", kVmBytes, "", false}).ok());
}

TEST_F(NodeTest, RemoveVm_leavesNothingBehind) {
  const auto vm = node().add_vm({"a", kVmBytes, "", false});
  ASSERT_TRUE(exists(vm->socket_path));
  ASSERT_TRUE(exists(vm->backing_path));
  ASSERT_TRUE(node().remove_vm("a", RemoveMode::kIfIdle).ok());
  EXPECT_FALSE(exists(vm->socket_path));
  EXPECT_FALSE(exists(vm->backing_path));
  EXPECT_EQ(node().show_vm("a").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
}

TEST_F(NodeTest, RemoveVm_connected_refusedUnlessForced) {
  const auto vm = node().add_vm({"a", kVmBytes, "", false});
  auto front = TestFrontEnd::connect(vm->socket_path, {});
  ASSERT_TRUE(front.ok());
  ASSERT_EQ((*front)->write(0, page_of(1)), VIRTIO_BLK_S_OK);
  EXPECT_THAT(node().remove_vm("a", RemoveMode::kIfIdle).error().text, HasSubstr("--force"));
  EXPECT_TRUE(node().remove_vm("a", RemoveMode::kForce).ok());
  EXPECT_TRUE((*front)->wait_for_hang_up());
  EXPECT_EQ(node().status().frames_free, node().status().frames_total);
}

TEST_F(NodeTest, RemoveVm_unknown_isNotFound) {
  EXPECT_EQ(node().remove_vm("a", RemoveMode::kForce).error().code, ErrorCode::kNotFound);
}

TEST_F(NodeTest, Start_configuredVms_areThere) {
  config_.vms = {{"b", kVmBytes, "", false}, {"a", kVmBytes, "", false}};
  ASSERT_TRUE(node().start().ok());
  const NodeSnapshot snapshot = node().list_vms();
  ASSERT_EQ(snapshot.vms.size(), 2u);
  EXPECT_EQ(snapshot.vms[0].name, "a");
  EXPECT_EQ(snapshot.node.vm_count, 2u);
}

TEST_F(NodeTest, Start_badConfiguredVm_saysWhich) {
  config_.vms = {{"a", kVmBytes, "", false}, {"b", kVmBytes, "/none/file", false}};
  const auto started = node().start();
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().text, HasSubstr("VM 'b'"));
}

VmRequest with_quota(const std::string& name, const QuotaRequest& quota) {
  VmRequest request{.name = name, .size_bytes = kVmBytes};
  request.quota = quota;
  return request;
}

TEST_F(NodeTest, AddVm_quota_boundsItsTarget) {
  EXPECT_EQ(node().add_vm(with_quota("a", {.max = "1M"}))->target, 256u);
  EXPECT_EQ(node().show_vm("a")->quota, (policy::Quota{.max = 256}));
  EXPECT_EQ(node().add_vm({"b", kVmBytes, "", false})->quota, policy::Quota{});
  config_.policy_spec = "reconf-static";
  node_.reset();
  EXPECT_EQ(node().add_vm(with_quota("a", {.min = "1M"}))->target, 256u);
}

TEST_F(NodeTest, AddVm_badQuota_refusedAndNothingLeft) {
  EXPECT_THAT(error_of(with_quota("a", {.min = "5"})), HasSubstr("min: '5' must be"));
  EXPECT_THAT(error_of(with_quota("a", {.min = "2M", .max = "1M"})),
              HasSubstr("more than the max"));
  EXPECT_THAT(error_of(with_quota("a", {.min = "9M"})), HasSubstr("the node has 8 MiB"));
  VmRequest request = with_quota("a", {.min = "1M"});
  request.backing_path = folder_.path() + "/none";
  EXPECT_THAT(error_of(request), HasSubstr("exist"));
  EXPECT_TRUE(node().list_quotas().empty());
}

TEST_F(NodeTest, SetQuota_changesTargetsAtOnce) {
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
  ASSERT_TRUE(node().add_vm({"b", kVmBytes, "", false}).ok());
  const auto set = node().set_quota("b", {.min = "6M"});
  ASSERT_TRUE(set.ok()) << set.error().text;
  EXPECT_TRUE(set->present);
  EXPECT_GE(node().show_vm("b")->target, 1536u);
  EXPECT_LE(node().show_vm("a")->target + node().show_vm("b")->target, 2048u);
  EXPECT_THAT(node().explain_vm("b")->findings, testing::Contains(HasSubstr("minimum 1536 pages")));
  EXPECT_THAT(node().set_quota("a", {.min = "3M"}).error().text, HasSubstr("add up to 9 MiB"));
  EXPECT_EQ(node().set_quota("a", {}).error().code, ErrorCode::kInvalid);
  ASSERT_TRUE(node().clear_quota("b").ok());
  EXPECT_EQ(node().show_vm("a")->target, 2048u);
  EXPECT_EQ(node().show_vm("b")->target, 2048u);
  EXPECT_EQ(node().clear_quota("b").error().code, ErrorCode::kNotFound);
}

// No interval ends here: what holds, holds from the moment on at which the VM came.
TEST_F(NodeTest, Quota_minimum_isToBeHadThoughAnotherTakesAllThatItCan) {
  config_.memory_bytes = kVmBytes;
  ASSERT_TRUE(node().add_vm({"greedy", kVmBytes, "", false}).ok());
  ASSERT_TRUE(node().add_vm(with_quota("modest", {.min = "1M"})).ok());
  for (const char* name : {"greedy", "modest"}) {
    auto front = TestFrontEnd::connect(node().show_vm(name)->socket_path, {});
    ASSERT_TRUE(front.ok()) << front.error().text;
    for (unsigned i = 0; i < kVmBytes / kPageSize; ++i) {
      ASSERT_EQ((*front)->write(i * kPageSize, page_of(i)), VIRTIO_BLK_S_OK);
    }
  }
  EXPECT_EQ(node().show_vm("greedy")->used, node().show_vm("greedy")->target);
  EXPECT_GE(node().show_vm("modest")->used, 256u);
}

TEST_F(NodeTest, SetQuota_beforeTheVmComes_isItsOwn) {
  EXPECT_FALSE(node().set_quota("a", {.max = "1M", .weight = 7})->present);
  EXPECT_EQ(node().add_vm(with_quota("a", {.weight = 8}))->target, 256u);
  EXPECT_EQ(node().show_vm("a")->quota, (policy::Quota{.max = 256, .weight = 8}));
  EXPECT_TRUE(node().list_quotas().at(0).present);
  ASSERT_TRUE(node().remove_vm("a", RemoveMode::kIfIdle).ok());
  EXPECT_TRUE(node().list_quotas().empty());
}

TEST_F(NodeTest, Quotas_ofTheFile_holdAtEachStart) {
  config_.vms = {with_quota("a", {.max = "2M"})};
  config_.quotas = {{"c", {.min = "1M"}}};
  ASSERT_TRUE(node().start().ok());
  auto front = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
  ASSERT_EQ((*front)->write(0, page_of(7)), VIRTIO_BLK_S_OK);
  ASSERT_TRUE(node().set_quota("a", {.max = "1M"}).ok());
  EXPECT_EQ(node().show_vm("a")->quota.max, 256u);
  ASSERT_EQ(node().list_quotas().size(), 2u);
  node_.reset();
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().show_vm("a")->quota.max, 512u);
  node_.reset();
  config_.vms[0].quota = {};
  config_.quotas = {{"c", {.min = "9M"}}};
  EXPECT_THAT(Node::create(config_, clock_).error().text, HasSubstr("quota of 'c': the minimums"));
  config_.quotas = {};
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().show_vm("a")->quota, policy::Quota{});
}

TEST_F(NodeTest, Restart_quotasByCommand_areBackWithTheirVms) {
  ASSERT_TRUE(node().add_vm(with_quota("a", {.max = "50%"})).ok());
  ASSERT_TRUE(node().add_vm({"b", kVmBytes, "", false}).ok());
  for (unsigned i = 0; const char* name : {"a", "b"}) {
    auto front = TestFrontEnd::connect(node().show_vm(name)->socket_path, {});
    ASSERT_EQ((*front)->write(0, page_of(++i)), VIRTIO_BLK_S_OK);
  }
  ASSERT_TRUE(node().set_quota("b", {.min = "1M", .weight = 300}).ok());
  ASSERT_TRUE(node().set_quota("elsewhere", {.weight = 5}).ok());
  node_.reset();
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().show_vm("a")->quota, (policy::Quota{.max = 1024}));
  EXPECT_EQ(node().show_vm("b")->quota, (policy::Quota{.min = 256, .weight = 300}));
  EXPECT_EQ(node().list_quotas().size(), 2u);
  ASSERT_TRUE(node().clear_quota("b").ok());
  node_.reset();
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().show_vm("b")->quota, policy::Quota{});
  auto front = TestFrontEnd::connect(node().show_vm("b")->socket_path, {});
  std::array<std::byte, kPageSize> data;
  ASSERT_EQ((*front)->read(0, data), VIRTIO_BLK_S_OK);
  EXPECT_EQ(data, page_of(2));
}

TEST_F(NodeTest, ResizeVm_growsTheDiskAndSurvivesARestart) {
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
  {
    auto front = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
    ASSERT_EQ((*front)->write(0, page_of(7)), VIRTIO_BLK_S_OK);
    EXPECT_EQ(node().resize_vm("a", 2 * kVmBytes)->size_bytes, 2 * kVmBytes);
    EXPECT_EQ((*front)->write(kVmBytes, page_of(8)), VIRTIO_BLK_S_OK);
  }
  EXPECT_FALSE(node().resize_vm("a", kVmBytes).ok());
  EXPECT_FALSE(node().resize_vm("a", 2 * kVmBytes + 1).ok());
  EXPECT_EQ(node().resize_vm("b", kVmBytes).error().code, ErrorCode::kNotFound);
  node_.reset();
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().show_vm("a")->size_bytes, 2 * kVmBytes);
  EXPECT_EQ(node().show_vm("a")->used, 2u);
}

TEST_F(NodeTest, Restart_vmsAreBackWithTheirPages) {
  const std::string file = file_of(kVmBytes, "file");
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, file, false}).ok());
  ASSERT_TRUE(node().add_vm({"b", kVmBytes, "", false}).ok());
  {
    auto front = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
    ASSERT_TRUE(front.ok());
    ASSERT_EQ((*front)->write(8192, page_of(7)), VIRTIO_BLK_S_OK);
  }
  node_.reset();
  EXPECT_FALSE(exists(config_.backing_dir + "/b.img"));  // it held nothing
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().status().epoch, 2u);
  const NodeSnapshot snapshot = node().list_vms();
  ASSERT_EQ(snapshot.vms.size(), 1u);
  EXPECT_EQ(snapshot.vms[0].backing_path, file);
  EXPECT_EQ(snapshot.vms[0].used, 1u);
  auto front = TestFrontEnd::connect(snapshot.vms[0].socket_path, {});
  ASSERT_TRUE(front.ok());
  std::array<std::byte, kPageSize> data;
  ASSERT_EQ((*front)->read(8192, data), VIRTIO_BLK_S_OK);
  EXPECT_EQ(data, page_of(7));
}

TEST_F(NodeTest, Restart_vmWhoseGuestIsNotBackYet_staysThoughItHoldsNothing) {
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
  auto front = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
  ASSERT_TRUE(front.ok());
  for (int life = 0; life < 3; ++life) {
    node_.reset();
    ASSERT_TRUE(node().start().ok());
    ASSERT_EQ(node().list_vms().vms.size(), 1u) << life;
  }
  {
    auto again = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
    ASSERT_TRUE(again.ok());
  }
  while (node().show_vm("a")->connected) {
    std::this_thread::yield();
  }
  node_.reset();
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().list_vms().vms.size(), 0u);  // it was there and left, and held nothing
}

TEST_F(NodeTest, AddVm_compressed_needsTheNodesRoomForIt) {
  const VmRequest request{"a", kVmBytes, "", false, tmem::Compression::kLz4};
  EXPECT_THAT(error_of(request), HasSubstr("'compression'"));
  EXPECT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());  // nothing was left behind
}

TEST_F(NodeTest, Restart_compressedPages_areBackUnderTheSameSetting) {
  config_.compressed_pages_per_frame = 2;
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, "", false, tmem::Compression::kLz4}).ok());
  {
    auto front = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
    ASSERT_EQ((*front)->write(8192, page_of(7)), VIRTIO_BLK_S_OK);
  }
  EXPECT_EQ(node().status().compressed_pages, 1u);
  node_.reset();
  config_.compressed_pages_per_frame = 0;
  EXPECT_THAT(Node::create(config_, clock_).error().text, HasSubstr("compression = \"2\""));
  config_.compressed_pages_per_frame = 2;
  ASSERT_TRUE(node().start().ok());
  const auto vm = node().show_vm("a");
  ASSERT_TRUE(vm.ok());
  EXPECT_EQ(vm->compression, tmem::Compression::kLz4);
  EXPECT_EQ(vm->compressed_pages, 1u);
  EXPECT_EQ(vm->compressed_bytes, vm->used * kPageSize);
  auto front = TestFrontEnd::connect(vm->socket_path, {});
  std::array<std::byte, kPageSize> data;
  ASSERT_EQ((*front)->read(8192, data), VIRTIO_BLK_S_OK);
  EXPECT_EQ(data, page_of(7));
}

TEST_F(NodeTest, Restart_configuredVm_isTheOneThatWasThere) {
  config_.vms = {{"a", kVmBytes, "", false}};
  ASSERT_TRUE(node().start().ok());
  {
    auto front = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
    ASSERT_EQ((*front)->write(0, page_of(7)), VIRTIO_BLK_S_OK);
  }
  node_.reset();
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().show_vm("a")->used, 1u);
}

TEST_F(NodeTest, Restart_vmWhoseBackingFileIsGone_isToldAndItsPagesStay) {
  const std::string file = file_of(kVmBytes, "file");
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, file, false}).ok());
  {
    auto front = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
    ASSERT_EQ((*front)->write(0, page_of(7)), VIRTIO_BLK_S_OK);
  }
  node_.reset();
  ::rename(file.c_str(), (file + ".away").c_str());
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().list_vms().vms.size(), 0u);
  EXPECT_EQ(node().status().frames_free, node().status().frames_total - 1);
  EXPECT_THAT(node().add_vm({"a", kVmBytes, "", false}).error().text, HasSubstr("is gone"));
  node_.reset();
  ::rename((file + ".away").c_str(), file.c_str());
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().show_vm("a")->used, 1u);
}

TEST_F(NodeTest, Restart_vmThatCannotComeBack_canBeGivenUp) {
  const std::string file = file_of(kVmBytes, "file");
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, file, false}).ok());
  {
    auto front = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
    ASSERT_EQ((*front)->write(0, page_of(7)), VIRTIO_BLK_S_OK);
  }
  node_.reset();
  ::unlink(file.c_str());
  ASSERT_TRUE(node().start().ok());
  EXPECT_TRUE(node().remove_vm("a", RemoveMode::kIfIdle).ok());
  EXPECT_EQ(node().status().frames_free, node().status().frames_total);
  EXPECT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
}

TEST_F(NodeTest, Restart_otherMemory_refusedWhilePagesAreHeld) {
  ASSERT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
  {
    auto front = TestFrontEnd::connect(node().show_vm("a")->socket_path, {});
    ASSERT_EQ((*front)->write(0, page_of(7)), VIRTIO_BLK_S_OK);
  }
  node_.reset();
  config_.memory_bytes *= 2;
  EXPECT_THAT(Node::create(config_, clock_).error().text, HasSubstr("memory = \"8388608\""));
  config_.discard_pages = true;
  ASSERT_TRUE(node().start().ok());
  EXPECT_EQ(node().list_vms().vms.size(), 0u);
  EXPECT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
}

TEST_F(NodeTest, SocketGroup_mayOpenTheVmsSocket) {
  config_.socket_group = ::getgrgid(::getegid())->gr_name;
  const auto vm = node().add_vm({"a", kVmBytes, "", false});
  ASSERT_TRUE(vm.ok()) << vm.error().text;
  struct stat info {};
  ASSERT_EQ(::stat(vm->socket_path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660u);
  EXPECT_EQ(info.st_gid, ::getegid());
}

TEST_F(NodeTest, SocketGroup_unknown_refused) {
  config_.socket_group = "no-such-group";
  EXPECT_THAT(Node::create(config_, clock_).error().text, HasSubstr("no-such-group"));
}

TEST_F(NodeTest, Create_arenaOfAnotherNode_refused) {
  node();
  EXPECT_FALSE(Node::create(config_, clock_).ok());
}

TEST_F(NodeTest, Asked_whileVmsComeAndGo_staysWhole) {
  ASSERT_TRUE(node().start().ok());
  std::atomic<bool> done{false};
  std::thread asker([&] {
    while (!done) {
      for (const VmView& vm : node().list_vms().vms) {
        (void)node().explain_vm(vm.name);
      }
      (void)node().latencies();
    }
  });
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(node().add_vm({"a", kVmBytes, "", false}).ok());
    ASSERT_TRUE(node().set_policy(i % 2 == 0 ? "static-alloc" : "smart-alloc").ok());
    ASSERT_TRUE(node().remove_vm("a", RemoveMode::kIfIdle).ok());
  }
  done = true;
  asker.join();
}

}  // namespace
}  // namespace fallow::node
