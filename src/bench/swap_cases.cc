// A host's program that needs twice the memory it is given: its swap on a VM's disk, by way of
// nbdkit, nbdfuse and a loop device, against swap on zram.

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "base/check.h"
#include "base/log.h"
#include "base/temp_dir.h"
#include "base/units.h"
#include "bench/bench_case.h"
#include "bench/host_swap.h"
#include "bench/memory_group.h"
#include "bench/own_daemon.h"
#include "bench/server_process.h"
#include "bench/zram_device.h"

namespace fallow::bench {
namespace {

struct Size {
  std::uint64_t limit_bytes;
  unsigned rounds;
};

Size size_of(const Settings& settings) {
  return settings.length == Settings::Length::kQuick ? Size{16 << 20, 1} : Size{128 << 20, 3};
}

[[noreturn]] void stop(const std::string& what) {
  log_error("swap-bench", {{"what", what}});
  std::exit(1);
}

// A VM's disk as a block device of this host.
class FallowDisk {
 public:
  explicit FallowDisk(std::uint64_t bytes)
      : daemon_({std::to_string(bytes + (64 << 20)), std::to_string(bytes)}),
        nbdkit_({"nbdkit",
                 {"nbdkit", "--foreground", "--unix", socket(),
                  own_program("../lib/nbdkit-fallow-plugin.so"), "vm=vm1",
                  "socket=" + daemon_.ring_socket()},
                 socket(),
                 SOCK_STREAM,
                 dir_.path() + "/nbdkit.log"}),
        nbdfuse_({"nbdfuse",
                  {"nbdfuse", folder() + "/disk", "--unix", socket()},
                  "",
                  0,
                  dir_.path() + "/nbdfuse.log",
                  folder() + "/disk"}),
        path_(output_of("losetup --find --show --direct-io=on " + folder() + "/disk")) {
    while (path_.ends_with('\n')) {
      path_.pop_back();
    }
    if (path_.empty()) {
      stop("no loop device for the disk");
    }
  }
  ~FallowDisk() {
    (void)output_of("losetup --detach " + path_);
    ::umount2(folder().c_str(), MNT_DETACH);  // nbdfuse ends with it
  }
  FallowDisk(const FallowDisk&) = delete;
  FallowDisk& operator=(const FallowDisk&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] std::string socket() const { return dir_.path() + "/nbd.sock"; }
  [[nodiscard]] std::string folder() const {
    const std::string path = dir_.path() + "/mounted";
    std::filesystem::create_directory(path);
    return path;
  }

  const TempDir dir_;
  const OwnDaemon daemon_;
  const ServerProcess nbdkit_;
  const ServerProcess nbdfuse_;
  std::string path_;
};

std::uint64_t word_of(std::uint64_t page, std::uint64_t at) {
  std::mt19937_64 word(page << 20 | at);
  return word();
}

// Fills its pages, then looks at as many at random and changes them; every word that it looks at
// must be what it wrote. Touches a second, or a negative number when a word was wrong.
double touch(std::uint64_t pages) {
  constexpr std::size_t kWords = kPageSize / sizeof(std::uint64_t);
  auto* memory = static_cast<std::uint64_t*>(::mmap(
      nullptr, pages * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(memory != MAP_FAILED);
  for (std::uint64_t page = 0; page < pages; ++page) {
    std::mt19937_64 noise(page);
    for (std::size_t at = 1; at < kWords; ++at) {
      memory[page * kWords + at] = at % 2 == 1 ? noise() : page;  // zram halves it
    }
    memory[page * kWords] = word_of(page, 0);
  }
  std::vector<std::uint32_t> versions(pages);
  std::mt19937_64 random(1);
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < pages; ++i) {
    const std::uint64_t page = random() % pages;
    if (memory[page * kWords] != word_of(page, versions[page]) ||
        memory[page * kWords + 2] != page) {
      return -1;
    }
    memory[page * kWords] = word_of(page, ++versions[page]);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return static_cast<double>(pages) / took.count();
}

// In a process of its own within the group.
double touch_within(const MemoryGroup& group, std::uint64_t pages) {
  int ends[2];
  CHECK(::pipe(ends) == 0);
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    const double rate = group.join() ? touch(pages) : 0;
    ::_exit(::write(ends[1], &rate, sizeof rate) == sizeof rate ? 0 : 1);
  }
  ::close(ends[1]);
  double rate = 0;
  const bool told = ::read(ends[0], &rate, sizeof rate) == sizeof rate;
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (!told || rate <= 0) {
    stop(rate < 0 ? "a page came back wrong" : "the program did not end well");
  }
  return rate;
}

Result swap_over_nbd(const Case& what, const Settings& settings) {
  const auto skip = [&what](const std::string& why) {
    return Result{what.name, {}, what.unit, what.better, {}, why};
  };
  for (const char* program : {"nbdkit", "nbdfuse", "losetup", "mkswap"}) {
    if (!find_program(program)) {
      return skip(std::string(program) + " is missing: run scripts/install-dependencies");
    }
  }
  if (::geteuid() != 0) {
    return skip("host swap needs root");
  }
  const Size size = size_of(settings);
  const std::uint64_t bytes = 2 * size.limit_bytes;
  const auto group = MemoryGroup::create(size.limit_bytes);
  if (!group) {
    return skip("no memory control group: " + group.error().text);
  }
  const auto zram = ZramDevice::create("lz4", 2 * bytes);
  if (!zram) {
    return skip("no zram with lz4: " + zram.error().text);
  }
  const FallowDisk disk(2 * bytes);
  const auto rate_on = [&](const std::string& path) {
    const auto swap = HostSwap::on(path);
    if (!swap) {
      stop(swap.error().text);
    }
    return touch_within(**group, bytes / kPageSize);
  };
  return measure_in_turn(
      what, size.rounds, [&] { return rate_on(disk.path()); },
      [&] { return rate_on((*zram)->path()); });
}

}  // namespace

std::vector<Case> swap_cases() {
  return {
      {"swap.nbd_vs_zram",
       "touches/s",
       "higher",
       {},
       "random touches of twice the memory that a control group allows: host swap on a VM's disk "
       "(nbdkit, nbdfuse, loop), against zram",
       swap_over_nbd},
  };
}

}  // namespace fallow::bench
