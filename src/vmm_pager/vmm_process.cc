#include "vmm_pager/vmm_process.h"

#include <sys/socket.h>

#include <sstream>
#include <string>

#include "base/file.h"

namespace fallow::vmm_pager {

// proc(5): the state is the 3rd word, the start time the 22nd; the 2nd is a name in brackets, which
// may have blanks and brackets itself.
VmmProcess process_of(pid_t pid) {
  const auto text = read_text_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (pid <= 0 || !text || text->rfind(')') == std::string::npos) {
    return {};
  }
  std::istringstream words(text->substr(text->rfind(')') + 1));
  std::string state;
  std::string word;
  words >> state;
  for (int i = 4; i < 22; ++i) {
    words >> word;
  }
  VmmProcess process{pid, 0};
  words >> process.started_at;
  const bool over = state == "Z" || state == "X";
  return over ? VmmProcess{} : process;
}

VmmProcess peer_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  const bool known = ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  return known ? process_of(peer.pid) : VmmProcess{};
}

bool may_live(const VmmProcess& process) {
  return process.pid == 0 || process_of(static_cast<pid_t>(process.pid)) == process;
}

}  // namespace fallow::vmm_pager
