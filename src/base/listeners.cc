#include "base/listeners.h"

#include <unistd.h>

namespace fallow {

Result<UniqueFd> Listeners::open(const std::string& path, int backlog, UnixSocket type) {
  return listen_unix(path, backlog, type);
}

void Listeners::close(const std::string& path) {
  ::unlink(path.c_str());
}

Listeners& Listeners::plain() {
  static Listeners listeners;
  return listeners;
}

}  // namespace fallow
