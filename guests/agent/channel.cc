#include "agent/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fallow::guests {

void LineBuffer::add(std::string_view bytes) {
  bytes_.append(bytes);
  if (bytes_.size() > kLineBytesMax && bytes_.find('\n') == std::string::npos) {
    bytes_.resize(kLineBytesMax);
  }
}

std::optional<std::string> LineBuffer::next() {
  const std::size_t end = bytes_.find('\n');
  if (end == std::string::npos) {
    return std::nullopt;
  }
  std::string line = bytes_.substr(0, end);
  bytes_.erase(0, end + 1);
  return line;
}

bool Channel::open(const char* path) {
  fd_ = ::open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  termios settings{};
  if (fd_ < 0 || tcgetattr(fd_, &settings) != 0) {
    return false;
  }
  cfmakeraw(&settings);
  cfsetspeed(&settings, B115200);
  return tcsetattr(fd_, TCSANOW, &settings) == 0;
}

bool Channel::connect(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof address.sun_path) {
    return false;
  }
  std::strcpy(address.sun_path, path);
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd_ >= 0 &&
         ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

void Channel::send(std::string_view line) const {
  std::string bytes(line);
  bytes += '\n';
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = ::write(fd_, bytes.data() + sent, bytes.size() - sent);
    if (count < 0 && errno != EINTR) {
      return;
    }
    sent += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
}

bool Channel::receive() {
  char bytes[512];
  const ssize_t count = ::read(fd_, bytes, sizeof(bytes));
  if (count > 0) {
    received_.add({bytes, static_cast<std::size_t>(count)});
  }
  return count > 0 || (count < 0 && errno == EINTR);
}

}  // namespace fallow::guests
