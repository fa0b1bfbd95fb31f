// A guest, be it under QEMU or a process under a RAM limit: its agent (guests/agent) connects to a
// socket of the lab's, takes commands, and tells what its workload prints. Belongs to the lab's one
// thread. Destroying it ends the program that it runs in; nobody has to shut the guest down, since
// all that it owns is its RAM and a swap disk.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lab/child_process.h"
#include "lab/lab_loop.h"
#include "lab/workload_line.h"

namespace fallow::lab {

struct GuestSettings {
  std::string name{};     // for files and messages
  std::string folder{};   // takes its socket and logs; must outlive the guest
  std::string program{};  // that it runs in, for messages: "QEMU"
  std::vector<std::string> command{};

  // Where the lab waits for the agent.
  [[nodiscard]] std::string channel_socket() const { return folder + "/" + name + ".channel"; }
  // Where what the guest's system says goes, if its program is told so.
  [[nodiscard]] std::string console_path() const { return folder + "/" + name + ".console"; }
  // What the program prints.
  [[nodiscard]] std::string output_path() const { return folder + "/" + name + ".out"; }
};

class Guest {
 public:
  using LineHandler = std::function<void(const GuestLine&)>;

  // Starts the program and returns at once, so that several guests boot side by side.
  static Result<std::unique_ptr<Guest>> start(LabLoop& loop, GuestSettings settings);
  ~Guest();
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  // Until the guest's agent has spoken.
  Status wait_ready(std::uint64_t timeout_ms);

  // Sends a command and waits for its answer.
  Result<std::string> command(const std::string& line, std::uint64_t timeout_ms);
  // Without waiting, so that several guests can be told something at the same moment.
  void send(const std::string& line);
  Result<GuestMemory> memory(std::uint64_t timeout_ms);

  // A program and its arguments, none of which holds a space.
  Status start_workload(const std::vector<std::string>& words, std::uint64_t timeout_ms);
  // Called with every line of the workload's, from within the loop: it must only take note.
  void on_workload(LineHandler handler) { workload_handler_ = std::move(handler); }
  Status wait_workload_end(std::uint64_t timeout_ms);
  // Set when the workload has ended.
  [[nodiscard]] std::optional<std::uint64_t> workload_exit_code() const { return exit_code_; }

  // Asks it to power itself off, and waits for that.
  Status power_off(std::uint64_t timeout_ms);

  [[nodiscard]] const GuestSettings& settings() const { return settings_; }
  [[nodiscard]] const std::string& name() const { return settings_.name; }
  [[nodiscard]] bool alive() { return !process_->exit_code().has_value(); }

 private:
  Guest(LabLoop& loop, GuestSettings settings) : loop_(loop), settings_(std::move(settings)) {}

  Status listen();
  Status spawn();
  void accept();
  void read();
  void take(const GuestLine& line);
  Result<std::string> receive_answer(std::uint64_t timeout_ms);
  Status wait(const std::function<bool()>& done, std::uint64_t timeout_ms, const std::string& what);
  // The end of its program's output and of its console, for an error's text.
  [[nodiscard]] std::string last_words() const;

  LabLoop& loop_;
  GuestSettings settings_;
  std::optional<ChildProcess> process_;
  UniqueFd listener_;
  UniqueFd channel_;
  std::string received_;
  std::deque<GuestLine> answers_;
  LineHandler workload_handler_;
  std::optional<std::uint64_t> exit_code_;
  bool ready_ = false;
};

}  // namespace fallow::lab
