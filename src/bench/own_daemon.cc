#include "bench/own_daemon.h"

#include <sys/socket.h>

#include <fstream>

namespace fallow::bench {

OwnDaemon::OwnDaemon(const Options& options) {
  const std::string config = folder_.path() + "/fallowd.toml";
  std::ofstream file(config);
  file << "[node]\nmemory = \"" << options.memory << "\"\narena = \"" << arena_.path()
       << "\"\nrun_dir = \"" << folder_.path() << "/run\"\n[policy]\nspec = \"greedy\"\n"
       << "[device]\nbacking_dir = \"" << backing_.path() << "\"\n[metrics]\nlisten = \"off\"\n";
  if (!options.disk_size.empty()) {
    file << "[[vm]]\nname = \"vm1\"\nsize = \"" << options.disk_size << "\"\n";
  }
  file.close();
  process_ = std::make_unique<ServerProcess>(ServerProcess::Start{own_program("fallowd"),
                                                                  {"fallowd", "--config", config},
                                                                  ring_socket(),
                                                                  SOCK_SEQPACKET,
                                                                  folder_.path() + "/log"});
}

}  // namespace fallow::bench
