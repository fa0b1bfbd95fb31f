// A VMM as far as a pager sees one: memory in a file that is shared, and a userfaultfd for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/temp_dir.h"
#include "integration/program.h"

namespace fallow::test {

class Vmm {
 public:
  explicit Vmm(std::size_t bytes);
  ~Vmm();
  Vmm(const Vmm&) = delete;
  Vmm& operator=(const Vmm&) = delete;

  [[nodiscard]] volatile std::uint64_t* words() const {
    return reinterpret_cast<volatile std::uint64_t*>(memory_);
  }
  [[nodiscard]] std::byte* memory() const { return memory_; }
  [[nodiscard]] int file() const { return file_.get(); }
  [[nodiscard]] int faults() const { return faults_.get(); }
  // As another process opens it.
  [[nodiscard]] std::string path() const;
  [[nodiscard]] std::size_t bytes_in_ram() const;

  // What it says to a pager.
  [[nodiscard]] std::string handshake() const;
  // Says it, and waits until the pager has answered. False: it has refused.
  bool hand_over(const std::string& socket);

 private:
  const std::size_t bytes_;
  UniqueFd file_;
  UniqueFd faults_;
  std::byte* memory_ = nullptr;
  UniqueFd connection_;
};

// Waits until somebody listens there.
UniqueFd connect_to(const std::string& socket);
// False: the other end has closed instead.
bool answered(int connection);
void say(int connection, const std::string& text, const std::vector<int>& descriptors);

// `fallow pager`, in lives that follow each other.
class PagerProcess {
 public:
  // `more`: arguments beside the socket, the state and the memory.
  PagerProcess(std::string memory, std::vector<std::string> more);

  void start();
  int end(int signal) { return process_->end(signal); }
  [[nodiscard]] int wait() { return process_->wait(); }
  [[nodiscard]] std::string socket() const { return dir_.path() + "/vm.sock"; }
  [[nodiscard]] std::string state() const { return dir_.path() + "/vm.state"; }
  [[nodiscard]] std::string log() const;
  // Runs another one with these arguments to its end.
  [[nodiscard]] Outcome run_once(const std::vector<std::string>& more) const;

 private:
  [[nodiscard]] std::vector<std::string> arguments(const std::vector<std::string>& more) const;

  const std::string memory_;
  const std::vector<std::string> more_;
  TempDir dir_;
  std::unique_ptr<Background> process_;
};

}  // namespace fallow::test
