// A guest under QEMU: boots, takes commands over its second serial port, tells what its workload
// prints. Belongs to the lab's one thread. Destroying it ends QEMU; nobody has to shut the guest
// down, since all that it owns is its RAM and a swap disk.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lab/child_process.h"
#include "lab/lab_loop.h"
#include "lab/qemu_command.h"
#include "lab/workload_line.h"

namespace fallow::lab {

struct MachineSettings {
  std::string name{};    // for files and messages
  std::string folder{};  // takes its sockets and logs; must outlive the machine
  QemuSettings qemu{};   // the machine itself sets the console and the channel
};

class VirtualMachine {
 public:
  using LineHandler = std::function<void(const GuestLine&)>;

  // Starts QEMU and returns at once, so that several machines boot side by side.
  static Result<std::unique_ptr<VirtualMachine>> start(LabLoop& loop, MachineSettings settings);
  ~VirtualMachine();
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  // Until the guest's agent has spoken.
  Status wait_ready(std::uint64_t timeout_ms);

  // Sends a command and waits for its answer.
  Result<std::string> command(const std::string& line, std::uint64_t timeout_ms);
  // In two halves, so that several guests can be told something at the same moment.
  void send(const std::string& line);
  Result<std::string> receive_answer(std::uint64_t timeout_ms);

  Result<GuestMemory> memory(std::uint64_t timeout_ms);

  // Called with every line of the workload's, from within the loop: it must only take note.
  void on_workload(LineHandler handler) { workload_handler_ = std::move(handler); }
  Status wait_workload_end(std::uint64_t timeout_ms);
  // Set when the workload has ended.
  [[nodiscard]] std::optional<std::uint64_t> workload_exit_code() const { return exit_code_; }

  [[nodiscard]] const std::string& name() const { return settings_.name; }
  [[nodiscard]] bool alive() { return !qemu_->exit_code().has_value(); }

 private:
  VirtualMachine(LabLoop& loop, MachineSettings settings)
      : loop_(loop), settings_(std::move(settings)) {}

  Status listen();
  Status spawn();
  void accept();
  void read();
  void take(const GuestLine& line);
  Status wait(const std::function<bool()>& done, std::uint64_t timeout_ms, const std::string& what);
  // The end of QEMU's output and of the guest's console, for an error's text.
  [[nodiscard]] std::string last_words() const;

  LabLoop& loop_;
  MachineSettings settings_;
  std::optional<ChildProcess> qemu_;
  UniqueFd listener_;
  UniqueFd channel_;
  std::string received_;
  std::deque<GuestLine> answers_;
  LineHandler workload_handler_;
  std::optional<std::uint64_t> exit_code_;
  bool ready_ = false;
};

}  // namespace fallow::lab
