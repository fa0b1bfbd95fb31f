#include "bench/memory_group.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/file.h"
#include "bench/attribute.h"

namespace fallow::bench {
namespace {

constexpr int kTries = 100;  // of 20 ms, for the kernel to let go of the last process

// Where groups with a memory limit are made, and what the limit's file is called: the unified
// hierarchy, or the memory controller's own.
struct Hierarchy {
  std::string root;
  std::string limit;
};

fallow::Result<Hierarchy> find_hierarchy() {
  const std::string root = "/sys/fs/cgroup";
  const auto controllers = read_attribute(root + "/cgroup.controllers");
  if (controllers && controllers->find("memory") != std::string::npos) {
    FALLOW_TRY(write_attribute(root + "/cgroup.subtree_control", "+memory"));
    return Hierarchy{root, "memory.max"};
  }
  const std::string own = root + "/memory";
  FALLOW_TRY(read_attribute(own + "/memory.limit_in_bytes"));
  return Hierarchy{own, "memory.limit_in_bytes"};
}

}  // namespace

fallow::Result<std::unique_ptr<MemoryGroup>> MemoryGroup::create(std::uint64_t limit_bytes) {
  const auto hierarchy = find_hierarchy();
  FALLOW_TRY(hierarchy);
  const std::string path = hierarchy->root + "/fallow-bench-" + std::to_string(::getpid());
  if (::mkdir(path.c_str(), 0700) != 0) {
    return failed_errno("cannot make the control group '" + path + "'", errno);
  }
  std::unique_ptr<MemoryGroup> group(new MemoryGroup(path));
  FALLOW_TRY(write_attribute(path + "/" + hierarchy->limit, std::to_string(limit_bytes)));
  return group;
}

MemoryGroup::~MemoryGroup() {
  for (int i = 0; ::rmdir(path_.c_str()) != 0 && errno == EBUSY && i < kTries; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

bool MemoryGroup::join() const {
  return write_attribute(path_ + "/cgroup.procs", std::to_string(::getpid())).ok();
}

}  // namespace fallow::bench
