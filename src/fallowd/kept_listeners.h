// Listening sockets that the service manager keeps while the daemon is away (systemd's file
// descriptor store): who connects meanwhile waits for the next life instead of being refused.
//
// Any thread, but for the begin and the end.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/listeners.h"

namespace fallow {

class KeptListeners final : public Listeners {
 public:
  // With the sockets that were kept of a life before. Before there is any other thread.
  KeptListeners();

  // The socket that was kept, if it still is the one at `path`; else a new one, which is kept from
  // now on.
  Result<UniqueFd> open(const std::string& path, int backlog, UnixSocket type) override;
  void close(const std::string& path) override;

  // Lets go of what was kept and nobody has asked for.
  void drop_unclaimed();
  // From now on close() leaves sockets as they are, for the next life.
  void leave_to_next_life();

 private:
  struct Kept {
    std::string name;  // that the service manager knows it by
    UniqueFd fd;       // until it is claimed
  };

  void take_back(UniqueFd fd, const std::string& name);
  UniqueFd claim(const std::string& path, int backlog, UnixSocket type);
  void keep(const std::string& path, int fd);

  const bool kept_;  // there is somebody who keeps them
  std::mutex mutex_;
  std::map<std::string, Kept> sockets_;  // by path; guarded by mutex_
  bool leaving_ = false;                 // guarded by mutex_
};

}  // namespace fallow
