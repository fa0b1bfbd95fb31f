#include "bench/bench_case.h"

#include <algorithm>

namespace fallow::bench {
namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Result measure_in_turn(const Case& what, unsigned rounds, const std::function<double()>& ours,
                       const std::function<double()>& peer) {
  std::vector<double> ours_rounds;
  std::vector<double> peer_rounds;
  for (unsigned i = 0; i <= rounds; ++i) {
    const double a = ours();
    const double b = peer();
    if (i > 0) {  // the first round warms up
      ours_rounds.push_back(a);
      peer_rounds.push_back(b);
    }
  }
  return {what.name,     {median(ours_rounds), median(peer_rounds)},
          what.unit,     what.better,
          what.promised, {}};
}

}  // namespace fallow::bench
