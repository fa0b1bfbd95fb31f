// A guest that is a process tree under a RAM limit (docs/pager.md): native speed, no VM.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lab/guest.h"

namespace fallow::lab {

struct ProcessGuestSettings {
  std::string name{};    // for files, messages and the daemon
  std::string folder{};  // takes its socket and logs; must outlive the guest
  std::string fallow{};  // the program
  std::string agent{};   // the dynamically linked one
  // 0: no limit, no daemon.
  std::uint64_t ram_bytes = 0;
  std::string ring_socket{};
  std::string backing_folder{};
  std::string backing_speed{};
  std::string demotion{};
};

// What `fallow run` is called with. Pure.
std::vector<std::string> process_guest_command(const ProcessGuestSettings& settings,
                                               const std::string& channel_socket);
Result<std::unique_ptr<Guest>> start_process_guest(LabLoop& loop,
                                                   const ProcessGuestSettings& settings);

}  // namespace fallow::lab
