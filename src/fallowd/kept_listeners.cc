#include "fallowd/kept_listeners.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"

namespace fallow {
namespace {

constexpr std::size_t kNameMax = 255;  // FileDescriptorName=

// A name that tells the socket's file from any later one at the same path: its file system and
// inode before the path, whose letters a name cannot have are written as %xx. Empty: there is none.
std::string name_of(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) {
    return "";
  }
  char text[64];
  std::snprintf(text, sizeof text, "%llx-%llx-", static_cast<unsigned long long>(info.st_dev),
                static_cast<unsigned long long>(info.st_ino));
  std::string name = text;
  for (const char letter : path) {
    if (letter > ' ' && letter < 127 && letter != ':' && letter != '%') {
      name += letter;
    } else {
      std::snprintf(text, sizeof text, "%%%02x", static_cast<unsigned char>(letter));
      name += text;
    }
  }
  return name.size() <= kNameMax ? name : "";
}

std::optional<int> option_of(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? std::optional(value)
                                                                  : std::nullopt;
}

// Of a Unix socket that listens; empty for anything else.
std::string path_of(int fd) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (option_of(fd, SO_DOMAIN) != AF_UNIX || option_of(fd, SO_ACCEPTCONN) != 1 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      size <= offsetof(sockaddr_un, sun_path)) {
    return "";
  }
  address.sun_path[sizeof address.sun_path - 1] = '\0';
  return address.sun_path;
}

void forget(const std::string& name) {
  ::sd_notify(0, ("FDSTOREREMOVE=1\nFDNAME=" + name).c_str());
}

}  // namespace

KeptListeners::KeptListeners() : kept_(std::getenv("NOTIFY_SOCKET") != nullptr) {
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  for (int i = 0; i < count; ++i) {
    take_back(UniqueFd(SD_LISTEN_FDS_START + i), names[i]);
    std::free(names[i]);
  }
  std::free(names);
}

// A socket whose path names another one by now, or none, is of no use to anybody.
void KeptListeners::take_back(UniqueFd fd, const std::string& name) {
  const std::string path = path_of(fd.get());
  if (path.empty() || name_of(path) != name) {
    log_warning("listener_dropped",
                {{"name", name}, {"detail", "its path does not lead to it any more"}});
    forget(name);
    return;
  }
  sockets_[path] = {name, std::move(fd)};
}

Result<UniqueFd> KeptListeners::open(const std::string& path, int backlog, UnixSocket type) {
  const std::lock_guard lock(mutex_);
  if (UniqueFd claimed = claim(path, backlog, type); claimed.valid()) {
    return claimed;
  }
  Result<UniqueFd> fresh = Listeners::open(path, backlog, type);
  if (fresh && kept_) {
    keep(path, fresh->get());
  }
  return fresh;
}

UniqueFd KeptListeners::claim(const std::string& path, int backlog, UnixSocket type) {
  const auto found = sockets_.find(path);
  if (found == sockets_.end() || !found->second.fd.valid()) {
    return {};
  }
  UniqueFd fd = std::move(found->second.fd);
  const int wanted = type == UnixSocket::kStream ? SOCK_STREAM : SOCK_SEQPACKET;
  // Who may connect is decided anew, as for a new one.
  if (option_of(fd.get(), SO_TYPE) == wanted && ::listen(fd.get(), backlog) == 0 &&
      ::chmod(path.c_str(), S_IRUSR | S_IWUSR) == 0) {
    log_info("listener_taken_over", {{"socket", path}});
    return fd;
  }
  forget(found->second.name);
  ::unlink(path.c_str());
  sockets_.erase(found);
  return {};
}

void KeptListeners::keep(const std::string& path, int fd) {
  const std::string name = name_of(path);
  if (name.empty()) {
    return;
  }
  const std::string message = "FDSTORE=1\nFDNAME=" + name;
  if (const int sent = ::sd_pid_notify_with_fds(0, 0, message.c_str(), &fd, 1); sent <= 0) {
    log_warning("listener_not_kept",
                {{"socket", path}, {"detail", failed_errno("sd_notify", -sent).text}});
    return;
  }
  sockets_[path] = {name, UniqueFd()};
}

void KeptListeners::close(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = sockets_.find(path);
  if (found == sockets_.end()) {
    Listeners::close(path);
  } else if (!leaving_) {
    forget(found->second.name);
    Listeners::close(path);
    sockets_.erase(found);
  }
}

void KeptListeners::drop_unclaimed() {
  const std::lock_guard lock(mutex_);
  for (auto at = sockets_.begin(); at != sockets_.end();) {
    if (!at->second.fd.valid()) {
      ++at;
      continue;
    }
    log_info("listener_dropped", {{"socket", at->first}, {"detail", "nobody is served there"}});
    forget(at->second.name);
    Listeners::close(at->first);
    at = sockets_.erase(at);
  }
}

void KeptListeners::leave_to_next_life() {
  const std::lock_guard lock(mutex_);
  leaving_ = true;
}

}  // namespace fallow
