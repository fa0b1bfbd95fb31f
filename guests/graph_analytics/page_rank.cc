#include "graph_analytics/page_rank.h"

#include <bit>
#include <cmath>

#include "common/report.h"

namespace fallow::guests {
namespace {

constexpr double kDamping = 0.85;
// Of sums over up to some billion ranks, each off by a rounding.
constexpr double kSlack = 1e-9;
constexpr const char* kRankWrong = "a rank came back from memory other than it was written";

std::uint64_t bits(double rank) {
  return std::bit_cast<std::uint64_t>(rank);
}

}  // namespace

PageRank::PageRank(const Graph& graph)
    : graph_(graph),
      ranks_(graph.vertices(), 1.0 / static_cast<double>(graph.vertices())),
      shares_(graph.vertices()) {
  for (const double rank : ranks_) {
    written_.add(bits(rank));
  }
}

double PageRank::share_out(Fingerprint& read) {
  double dangling = 0;
  for (std::uint64_t v = 0; v < graph_.vertices(); ++v) {
    read.add(bits(ranks_[v]));
    const std::uint32_t degree = graph_.out_degree(v);
    dangling += degree == 0 ? ranks_[v] : 0;
    shares_[v] = degree == 0 ? 0 : ranks_[v] / degree;
  }
  return dangling;
}

double PageRank::gather(double dangling) {
  const double base = (1 - kDamping + kDamping * dangling) / static_cast<double>(graph_.vertices());
  double sum = 0;
  change_ = 0;
  written_ = {};
  for (std::uint64_t v = 0; v < graph_.vertices(); ++v) {
    double gathered = 0;
    for (const std::uint32_t source : graph_.sources(v)) {
      gathered += shares_[source];
    }
    const double rank = base + kDamping * gathered;
    change_ += std::abs(rank - ranks_[v]);
    sum += rank;
    ranks_[v] = rank;
    written_.add(bits(rank));
  }
  return sum;
}

// The iteration's matrix keeps a distribution's sum, and brings two of them nearer by the damping.
std::string PageRank::verify(double sum, double change_before) const {
  if (!(std::abs(sum - 1) < kSlack)) {
    return printed("the ranks' sum is %.12g, not 1: memory came back wrong", sum);
  }
  if (!(change_ <= kDamping * change_before + kSlack)) {
    return printed("the ranks changed by %.12g after %.12g: memory came back wrong", change_,
                   change_before);
  }
  return "";
}

std::string PageRank::iterate() {
  const double change_before = change_;
  Fingerprint read;
  const double dangling = share_out(read);
  if (read != written_) {
    return kRankWrong;
  }
  const double sum = gather(dangling);
  return verify(sum, change_before);
}

std::uint64_t PageRank::checksum(std::string& error) const {
  Fingerprint read;
  for (const double rank : ranks_) {
    read.add(bits(rank));
  }
  error = read == written_ ? "" : kRankWrong;
  return read.value();
}

}  // namespace fallow::guests
