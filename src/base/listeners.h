// Where a process gets the Unix sockets that it listens on: here, from nowhere but itself. Somebody
// else may keep them for it while it is away.
//
// Any thread.
#pragma once

#include <string>

#include "base/file.h"
#include "base/result.h"

namespace fallow {

class Listeners {
 public:
  virtual ~Listeners() = default;

  // A socket that listens at `path`, as listen_unix() makes it.
  virtual Result<UniqueFd> open(const std::string& path, int backlog, UnixSocket type);
  // Nobody will listen at `path` any more: it is removed.
  virtual void close(const std::string& path);

  // Those that nobody keeps.
  static Listeners& plain();
};

}  // namespace fallow
