// A VM's disk over NBD against nbdkit's memory plugin: the same nbdkit, the same fio, over Unix
// sockets, 4 KiB at random places, 16 in flight.

#include <sys/socket.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "base/log.h"
#include "base/temp_dir.h"
#include "bench/bench_case.h"
#include "bench/own_daemon.h"
#include "bench/server_process.h"

namespace fallow::bench {
namespace {

struct Size {
  const char* disk;
  const char* memory;     // of the daemon
  const char* each_time;  // what a round moves
  unsigned rounds;
};

Size size_of(const Settings& settings) {
  return settings.length == Settings::Length::kQuick ? Size{"16M", "32M", "16M", 1}
                                                     : Size{"256M", "320M", "512M", 5};
}

[[noreturn]] void stop(const std::string& what) {
  log_error("nbd-bench", {{"what", what}});
  std::exit(1);
}

// One nbdkit, with its disk filled.
class Server {
 public:
  Server(const TempDir& dir, const std::string& name, std::vector<std::string> plugin,
         const Size& size)
      : socket_(dir.path() + "/" + name + ".sock"),
        size_(size),
        nbdkit_({"nbdkit", arguments(std::move(plugin)), socket_, SOCK_STREAM,
                 dir.path() + "/" + name + ".log"}) {
    (void)run_fio("--rw=write --bs=256k --iodepth=4 --size=" + std::string(size_.disk));
  }

  // Operations a second.
  [[nodiscard]] double random(const std::string& direction) const {
    return run_fio("--rw=" + direction + " --bs=4k --iodepth=16 --norandommap --size=" +
                   size_.disk + " --io_size=" + size_.each_time);
  }

 private:
  [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> plugin) const {
    std::vector<std::string> all = {"nbdkit", "--foreground", "--unix", socket_};
    all.insert(all.end(), plugin.begin(), plugin.end());
    return all;
  }

  [[nodiscard]] double run_fio(const std::string& job) const {
    const std::string text =
        output_of("fio --name=bench --ioengine=nbd --uri='nbd+unix:///?socket=" + socket_ +
                  "' --randseed=7 --output-format=json " + job + " 2>&1");
    // Notes may stand before the object.
    const auto report =
        nlohmann::json::parse(text.substr(std::min(text.find('{'), text.size())), nullptr, false);
    if (report.is_discarded() || report["jobs"][0]["error"] != 0) {
      stop(text);
    }
    const auto& measured = report["jobs"][0];
    return measured["read"]["iops"].get<double>() + measured["write"]["iops"].get<double>();
  }

  const std::string socket_;
  const Size size_;
  const ServerProcess nbdkit_;
};

Result compare(const Case& what, const Settings& settings, const std::string& direction) {
  if (!find_program("nbdkit") || !find_program("fio")) {
    stop("nbdkit or fio is missing: run scripts/install-dependencies");
  }
  const Size size = size_of(settings);
  const TempDir dir;
  const OwnDaemon daemon({size.memory, size.disk});
  const Server ours(
      dir, "fallow",
      {own_program("../lib/nbdkit-fallow-plugin.so"), "vm=vm1", "socket=" + daemon.ring_socket()},
      size);
  const Server theirs(dir, "memory", {"memory", size.disk}, size);
  return measure_in_turn(
      what, size.rounds, [&] { return ours.random(direction); },
      [&] { return theirs.random(direction); });
}

Result random_reads(const Case& what, const Settings& settings) {
  return compare(what, settings, "randread");
}

Result random_writes(const Case& what, const Settings& settings) {
  return compare(what, settings, "randwrite");
}

}  // namespace

std::vector<Case> nbd_cases() {
  return {
      {"nbd.randread_vs_memory", "reads/s", "higher", 0.8,
       "random reads of a VM's disk over NBD, against nbdkit's memory plugin", random_reads},
      {"nbd.randwrite_vs_memory", "writes/s", "higher", 0.8,
       "random writes of a VM's disk over NBD, against nbdkit's memory plugin", random_writes},
  };
}

}  // namespace fallow::bench
