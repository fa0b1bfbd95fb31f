// Recordings of any content: read, made ready and replayed. The first byte says what the rest is: a
// file, or the entries of blocks that are sealed as they should be (kind, entries, bytes, each
// time), as no fuzzer finds a checksum. Times are cut to a second, so that a replay ends soon.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "recording/file.h"
#include "sim/replay.h"

namespace fallow::fuzz {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::size_t kInputMax = 1 << 16;

std::string sealed(std::string_view input) {
  std::string file =
      recording::beginning_of({.frames = 64, .interval_ns = 10'000'000, .policy = "greedy"});
  while (input.size() >= 4) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(input[i]); };
    const std::uint32_t kind = byte(0) % 7;
    const std::uint32_t entries = byte(1);
    const std::size_t bytes =
        std::min<std::size_t>(byte(2) | std::size_t{byte(3)} << 8, input.size() - 4);
    file += recording::block_of(kind, entries, input.substr(4, bytes));
    input.remove_prefix(4 + bytes);
  }
  return file + recording::end_of(0);
}

// In a second, and in order again.
recording::Recording shortened(recording::Recording recording) {
  for (auto& one : recording.operations) {
    one.at_ns %= kSecondNs;
  }
  for (auto& one : recording.notes) {
    one.at_ns %= kSecondNs;
  }
  for (auto& one : recording.marks) {
    one.at_ns %= kSecondNs;
    one.delay_ns %= kSecondNs;
  }
  const std::string file = recording::beginning_of(recording.node) +
                           recording::blocks_of(recording.operations) +
                           recording::blocks_of(recording.notes) +
                           recording::blocks_of(recording.marks) + recording::end_of(0);
  const auto again = recording::parse_recording(file);
  CHECK(again.ok() && again->whole);
  CHECK(again->operations.size() == recording.operations.size());
  return *again;
}

}  // namespace
}  // namespace fallow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fallow;
  using namespace fallow::fuzz;
  if (size == 0 || size > kInputMax) {
    return 0;
  }
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto recording =
      recording::parse_recording((data[0] & 1) != 0 ? sealed(input) : std::string(input));
  if (!recording) {
    CHECK(!recording.error().text.empty());
    return 0;
  }
  const auto script = sim::make_script(shortened(*recording));
  if (!script) {
    CHECK(!script.error().text.empty());
    return 0;
  }
  sim::ReplaySettings settings{.frames = 32, .interval_ns = 10'000'000};
  settings.client.backing = DiskSpeed::parse("ssd").value();
  settings.client.demotion_pages_per_second = (data[0] & 2) != 0 ? 1000 : 0;
  for (const char* policy : {"marginal", "smart-alloc:P=2"}) {
    const auto outcome = sim::replay(*script, settings, policy);
    CHECK(outcome.ok() && outcome->clients.size() == script->clients.size());
  }
  return 0;
}
