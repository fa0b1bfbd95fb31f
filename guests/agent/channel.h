// Lines over a serial port or a Unix socket, for the agent's own thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fallow::guests {

// Collects bytes into lines. A line longer than kLineBytesMax is cut off there: the peer is
// trusted, but a serial line may carry noise.
class LineBuffer {
 public:
  static constexpr std::size_t kLineBytesMax = 4096;

  void add(std::string_view bytes);
  std::optional<std::string> next();

 private:
  std::string bytes_;
};

class Channel {
 public:
  // Opens the port raw: no echo, no translation. False when it cannot.
  bool open(const char* path);
  // Connects to a Unix socket. False when it cannot.
  bool connect(const char* path);
  [[nodiscard]] int fd() const { return fd_; }

  // Writes the line and its end; waits for the port.
  void send(std::string_view line) const;
  // Reads what is there. False: the other side has gone.
  bool receive();
  std::optional<std::string> next_line() { return received_.next(); }

 private:
  int fd_ = -1;
  LineBuffer received_;
};

}  // namespace fallow::guests
