// A server that a benchmark needs beside it: started in a private folder, ended by its process id,
// and with the benchmark when that ends early. For the thread that made it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace fallow::bench {

class ServerProcess {
 public:
  // Runs `program`, found along PATH when it has no slash, with `arguments` (the first is its own
  // name), and waits until somebody accepts connections at `socket` of this type. Stops the
  // benchmark with what the program said when that does not happen within seconds.
  struct Start {
    std::string program;
    std::vector<std::string> arguments;
    std::string socket;
    int socket_type;          // SOCK_STREAM or SOCK_SEQPACKET
    std::string log;          // a file for what it prints
    std::string made_file{};  // instead of the socket: it is ready when this file is there
  };
  explicit ServerProcess(const Start& start);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

 private:
  pid_t pid_ = -1;
};

// A socket connected to `path`, or -1.
int connect_unix(const std::string& path, int socket_type);

// A program of the build that this one is of.
std::string own_program(const std::string& name);

// Where `program` is along PATH.
std::optional<std::string> find_program(const std::string& program);

// What a shell's command prints.
std::string output_of(const std::string& command);

}  // namespace fallow::bench
