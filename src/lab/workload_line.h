// What a guest says: the agent's answers ("= ok ...") and what its workload prints ("| step ...").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::lab {

enum class LineKind {
  kReady,    // the guest is up
  kOk,       // a command was carried out; text is its answer
  kFailed,   // it was not; text says why
  kExited,   // the workload ended; number is its exit code
  kAttempt,  // the workload is about to allocate `number` bytes
  kStep,     // it traversed a block of `number` bytes in `milliseconds`; text is what it adds
  kPhase,    // the part `name` of its work took `milliseconds`; text is what it adds
  kDone,     // all is done and was verified; text has the figures, a checksum among them
  kError,    // it found wrong content or was refused memory; text says what
  kOther,    // anything else that it printed
};

struct GuestLine {
  LineKind kind = LineKind::kOther;
  std::uint64_t number = 0;
  std::uint64_t milliseconds = 0;
  std::string text;
  std::string name{};
};

// Never fails: what it does not understand is kOther.
GuestLine parse_guest_line(std::string_view line);

// 004 measures memory in what the guest sees: the agent's answer to `memory`. Pages since boot, and
// bytes.
struct GuestMemory {
  std::uint64_t pages_in = 0;   // pswpin
  std::uint64_t pages_out = 0;  // pswpout
  std::uint64_t total_bytes = 0;
  std::uint64_t available_bytes = 0;
  std::uint64_t swap_total_bytes = 0;
  std::uint64_t swap_free_bytes = 0;
};
std::optional<GuestMemory> parse_guest_memory(std::string_view answer);

}  // namespace fallow::lab
