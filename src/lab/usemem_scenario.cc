#include "lab/usemem_scenario.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/units.h"

namespace fallow::lab {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr double kScaleMin = 1.0 / 32;
constexpr double kScaleMax = 8;

std::uint64_t whole_pages(double bytes) {
  return static_cast<std::uint64_t>(std::llround(bytes / kPageSize)) * kPageSize;
}

}  // namespace

Result<UsememSizes> scaled_sizes(double scale) {
  if (!(scale >= kScaleMin && scale <= kScaleMax)) {
    return invalid("the scale must be from 0.03125 to 8");
  }
  // Everything that is compared with a block's size is a multiple of the step, as in 004.
  const std::uint64_t step = whole_pages(128.0 * kMiB * scale);
  return UsememSizes{.scale = scale,
                     .ram = 4 * step,
                     .tmem = 3 * step,
                     .step = step,
                     .block_max = 8 * step,
                     .third_starts = 5 * step,
                     .all_stop = 6 * step,
                     .swap = 16 * step};
}

std::uint64_t ram_with_overhead(const UsememSizes& sizes, std::uint64_t overhead) {
  const double lost = std::max(0.0, (1 - sizes.scale) * static_cast<double>(overhead));
  return (sizes.ram + static_cast<std::uint64_t>(lost) + kMiB - 1) / kMiB * kMiB;
}

UsememActions UsememScenario::on_attempt(std::size_t machine, std::uint64_t bytes) {
  CHECK(machine < kMachineCount);
  attempted_[machine] = std::max(attempted_[machine], bytes);
  UsememActions actions;
  // "VM3 starts when VM1 and VM2 attempt to allocate 640 MB": both of them.
  if (!third_started_ && std::min(attempted_[0], attempted_[1]) >= sizes_.third_starts) {
    actions.start_third = third_started_ = true;
  }
  if (!stopped_ && third_started_ && attempted_[2] >= sizes_.all_stop) {
    actions.stop_all = stopped_ = true;
  }
  return actions;
}

double UsememScenario::progress() const {
  // Until the third starts, and from then on: in earlier runs the second part took about 2/3.
  const auto part = [](std::uint64_t at, std::uint64_t end) {
    return std::min(1.0, static_cast<double>(at) / static_cast<double>(end));
  };
  const double first = part(std::min(attempted_[0], attempted_[1]), sizes_.third_starts);
  return first / 3 + part(attempted_[2], sizes_.all_stop) * 2 / 3;
}

std::string UsememScenario::command(std::size_t machine) const {
  return "usemem --step " + std::to_string(sizes_.step) + " --max " +
         std::to_string(sizes_.block_max) + " --seed " + std::to_string(machine + 1);
}

}  // namespace fallow::lab
