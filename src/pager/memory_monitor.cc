#include "pager/memory_monitor.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <random>
#include <type_traits>

#include "base/units.h"

namespace fallow::pager {
namespace {

constexpr std::uint64_t kSampledMost = 1024;  // pages in RAM
constexpr unsigned kSpaceBits = 12;

// So many that those in RAM can be probed within some seconds.
unsigned shift_of(std::uint64_t ram_pages) {
  return static_cast<unsigned>(std::bit_width((ram_pages - 1) / kSampledMost));
}

std::uint64_t number_of(const Resident& page) {
  return std::uint64_t{page.space} << (64 - kSpaceBits) | page.address / kPageSize;
}

bool in_sample(std::uint64_t number, unsigned shift) {
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  const std::uint64_t hash = (number ^ (number >> 29)) * kGolden;
  return shift == 0 || (hash >> (64 - shift)) == 0;
}

std::uint64_t seed() {
  return std::random_device()();
}

}  // namespace

MemoryMonitor::MemoryMonitor(std::uint64_t ram_pages)
    : shift_(shift_of(ram_pages)), estimator_({.seed = seed()}) {}

Status MemoryMonitor::trace_to(const std::string& path) {
  trace_.reset(std::fopen(path.c_str(), "wbe"));
  return trace_ != nullptr
             ? Status{}
             : invalid(failed_errno("cannot write the trace '" + path + "'", errno).text);
}

void MemoryMonitor::came(const Resident& page) {
  const std::uint64_t number = number_of(page);
  if (trace_ != nullptr) {
    std::fwrite(&number, sizeof number, 1, trace_.get());
  }
  if (!in_sample(number, shift_)) {
    return;
  }
  estimator_.reference(number);
  if (sample_.size() < kRememberedMost) {
    sample_.push_back(page);
  }
}

std::optional<Resident> MemoryMonitor::probe() {
  if (sample_.empty()) {
    return std::nullopt;
  }
  const Resident page = sample_.front();
  sample_.pop_front();
  return page;
}

void MemoryMonitor::stayed(const Resident& page) {
  if (std::find(sample_.begin(), sample_.end(), page) == sample_.end()) {
    sample_.push_back(page);
  }
}

void MemoryMonitor::report(fallow_memory_report& report) const {
  constexpr std::size_t kPoints = std::extent_v<decltype(fallow_memory_report::curve)>;
  report.working_set_pages = estimator_.working_set_pages() << shift_;
  const policy::MissRatioCurve curve = estimator_.curve().reduced(kPoints);
  report.curve_points = static_cast<std::uint32_t>(std::min(curve.points().size(), kPoints));
  for (std::size_t i = 0; i < report.curve_points; ++i) {
    const policy::MissRatioCurve::Point& point = curve.points()[i];
    report.curve[i].pages = point.pages << shift_;
    report.curve[i].misses_per_million = static_cast<std::uint32_t>(point.miss_ratio * 1e6);
  }
}

}  // namespace fallow::pager
