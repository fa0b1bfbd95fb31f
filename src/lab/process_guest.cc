#include "lab/process_guest.h"

namespace fallow::lab {

std::vector<std::string> process_guest_command(const ProcessGuestSettings& settings,
                                               const std::string& channel_socket) {
  const std::vector<std::string> agent = {settings.agent, "--connect", channel_socket};
  if (settings.ram_bytes == 0) {
    return agent;
  }
  std::vector<std::string> command = {settings.fallow,
                                      "run",
                                      "--ram",
                                      std::to_string(settings.ram_bytes),
                                      "--vm",
                                      settings.name,
                                      "--ring",
                                      settings.ring_socket,
                                      "--backing",
                                      settings.backing_folder,
                                      "--backing-speed",
                                      settings.backing_speed,
                                      "--demotion",
                                      settings.demotion,
                                      "--report",
                                      "--json",
                                      "--"};
  command.insert(command.end(), agent.begin(), agent.end());
  return command;
}

Result<std::unique_ptr<Guest>> start_process_guest(LabLoop& loop,
                                                   const ProcessGuestSettings& settings) {
  GuestSettings guest{.name = settings.name,
                      .folder = settings.folder,
                      .program = settings.ram_bytes == 0 ? "the agent" : "fallow run"};
  guest.command = process_guest_command(settings, guest.channel_socket());
  return Guest::start(loop, std::move(guest));
}

}  // namespace fallow::lab
