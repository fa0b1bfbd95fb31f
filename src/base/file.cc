#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fallow {
namespace {

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return invalid("socket path '" + path + "' must have 1 to " +
                   std::to_string(sizeof address.sun_path - 1) + " characters");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

UniqueFd make_socket(int type) {
  return UniqueFd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// Removes a socket that nobody listens on; anything else at the path is in the way.
Status clear_stale_socket(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return {};
  }
  if (!S_ISSOCK(info.st_mode)) {
    return Error{ErrorCode::kExists,
                 "'" + path + "' exists and is not a socket: choose another path or remove it"};
  }
  // A socket of another type is refused with EPROTOTYPE, and only while somebody has it.
  const UniqueFd probe = make_socket(SOCK_STREAM);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(probe.get(), raw, sizeof address) == 0 || errno != ECONNREFUSED) {
    return Error{ErrorCode::kExists,
                 "socket '" + path + "' is taken: another process listens there"};
  }
  ::unlink(path.c_str());
  return {};
}

}  // namespace

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) {
    ::close(fd_);
  }
  fd_ = fd;
}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (bytes_.data() != nullptr) {
    ::munmap(bytes_.data(), bytes_.size());
  }
}

Result<Mapping> Mapping::map_shared(int fd, std::uint64_t offset, std::size_t size) {
  void* at =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (at == MAP_FAILED) {
    return failed_errno("cannot map " + std::to_string(size) + " bytes", errno);
  }
  return Mapping({static_cast<std::byte*>(at), size});
}

Result<Mapping> Mapping::anonymous(std::size_t size) {
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) {
    return failed_errno("cannot have " + std::to_string(size) + " bytes of memory", errno);
  }
  return Mapping({static_cast<std::byte*>(at), size});
}

bool read_at(int fd, std::span<std::byte> to, std::uint64_t offset) {
  while (!to.empty()) {
    const ssize_t bytes = ::pread(fd, to.data(), to.size(), static_cast<off_t>(offset));
    if (bytes < 0 && errno == EINTR) {
      continue;
    }
    if (bytes <= 0) {
      return false;
    }
    to = to.subspan(static_cast<std::size_t>(bytes));
    offset += static_cast<std::uint64_t>(bytes);
  }
  return true;
}

Result<std::string> read_text_file(const std::string& path, std::size_t size_max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return Error{ErrorCode::kInvalid, failed_errno("cannot open '" + path + "'", errno).text};
  }
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return Error{ErrorCode::kInvalid, failed_errno("cannot read '" + path + "'", errno).text};
    }
    if (got == 0) {
      return text;
    }
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > size_max) {
      return invalid("'" + path + "' is larger than " + std::to_string(size_max) + " bytes");
    }
  }
}

Result<UniqueFd> listen_unix(const std::string& path, int backlog, UnixSocket type) {
  const auto address = unix_address(path);
  FALLOW_TRY(address);
  FALLOW_TRY(clear_stale_socket(path, *address));
  UniqueFd fd = make_socket(type == UnixSocket::kStream ? SOCK_STREAM : SOCK_SEQPACKET);
  if (!fd.valid()) {
    return failed_errno("cannot create a socket", errno);
  }
  // The mode is in force from the first moment: the socket is made under this mask by fchmod
  // before bind, which Linux honours for Unix sockets.
  ::fchmod(fd.get(), S_IRUSR | S_IWUSR);
  const auto* raw = reinterpret_cast<const sockaddr*>(&*address);
  if (::bind(fd.get(), raw, sizeof *address) != 0) {
    return failed_errno("cannot bind socket '" + path + "'", errno);
  }
  if (::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(fd.get(), backlog) != 0) {
    return failed_errno("cannot listen on socket '" + path + "'", errno);
  }
  return fd;
}

}  // namespace fallow
