#include "ring/memory_report.h"

#include <algorithm>
#include <span>

namespace fallow::ring {
namespace {

Status check_curve(std::span<const MissRatioPoint> curve) {
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const MissRatioPoint& point = curve[i];
    if (point.pages > kReportPagesMax || point.misses_per_million > 1'000'000 ||
        point.reserved != 0) {
      return invalid("a point of the miss-ratio curve is out of bounds");
    }
    if (i > 0 && (point.pages <= curve[i - 1].pages ||
                  point.misses_per_million > curve[i - 1].misses_per_million)) {
      return invalid("the miss-ratio curve does not fall from left to right");
    }
  }
  return {};
}

}  // namespace

Status check_report(const MemoryReport& report) {
  for (const std::uint64_t pages : {report.ram_limit_pages, report.resident_pages,
                                    report.backing_pages, report.working_set_pages}) {
    if (pages > kReportPagesMax) {
      return invalid("a number of pages is out of bounds");
    }
  }
  if (report.prefetch_hits_total > report.prefetched_total) {
    return invalid("more prefetched pages were used than were fetched");
  }
  const std::span curve(report.curve);
  if (report.curve_points > curve.size()) {
    return invalid("a miss-ratio curve has at most 16 points");
  }
  constexpr MissRatioPoint kNothing{};
  const auto rest = curve.subspan(report.curve_points);
  if (report.reserved0 != 0 ||
      std::any_of(std::begin(report.reserved), std::end(report.reserved),
                  [](std::uint64_t word) { return word != 0; }) ||
      std::any_of(rest.begin(), rest.end(),
                  [&](const MissRatioPoint& point) { return point != kNothing; })) {
    return invalid("a reserved field is not zero");
  }
  return check_curve(curve.first(report.curve_points));
}

}  // namespace fallow::ring
