// One connection to the daemon: the handshake, and the rare requests over the socket (abi.h). When
// it is over it stays over; Client makes a new one.
//
// Requests: one thread at a time. over(), end() and the welcome: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "ring/abi.h"
#include "ring/producer.h"

namespace fallow::client {

class Connection {
 public:
  struct Target {
    std::string socket;
    std::string name;
    ring::Attach attach = ring::Attach::kPages;
    ring::Secret secret;  // of the connection before
  };

  // How long the daemon may take before it counts as gone.
  struct Patience {
    std::uint64_t greeting_ns;
    std::uint64_t answer_ns;  // to any later request
  };
  // All functions that return int give 0 or fail() with a text. `clock` outlives the connection.
  // Errors of dial(): -ENOTCONN when no daemon listens or makes sense, -ETIMEDOUT when it does not
  // answer; else what it refused with.
  static int dial(const Target& target, const Patience& patience, const Clock& clock,
                  std::shared_ptr<Connection>& made);
  ~Connection();

  [[nodiscard]] const ring::Welcome& welcome() const { return welcome_; }

  struct Queue {
    std::uint32_t id = 0;
    std::unique_ptr<ring::Producer> producer;
  };
  // Requests fail with what the daemon refused with, or because the connection is over().
  int open_queue(std::uint32_t entries, Queue& queue);
  int close_queue(std::uint32_t id);
  // `bytes`: of the file, a multiple of 4096.
  int register_region(int file, std::uint64_t bytes, std::uint32_t& token);
  int unregister_region(std::uint32_t token);
  // Pages wait so long for their client when a connection ends without goodbye().
  int keep(std::uint32_t seconds);
  // The daemon need not be there to hear it.
  void goodbye();

  // Whether the daemon has hung up, or either side broke off. A system call.
  [[nodiscard]] bool over() const;
  void end();

 private:
  struct Packet;

  Connection(UniqueFd socket, std::uint64_t patience_ns, const Clock& clock);

  int greet(const Target& target);
  template <typename Answer, typename Request>
  int ask(const Request& request, int file, Answer& answer, std::span<UniqueFd> files);
  int send(const void* request, std::size_t bytes, int file);
  int receive(Packet& packet);
  int broken(const std::string& what);

  const UniqueFd socket_;
  std::uint64_t patience_ns_;
  const Clock& clock_;
  ring::Welcome welcome_{};
  std::atomic<bool> ended_{false};
};

}  // namespace fallow::client
