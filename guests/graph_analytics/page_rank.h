// PageRank by power iteration, with what is known of it checked at every step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/mix.h"
#include "graph_analytics/graph.h"

namespace fallow::guests {

class PageRank {
 public:
  explicit PageRank(const Graph& graph);  // which must outlive it

  // One iteration. "", or what about the memory proves to be wrong: a rank that is not what the
  // iteration before has written, ranks whose sum is not 1, or a change that did not shrink.
  std::string iterate();

  // The sum of what the last iteration has changed the ranks by.
  [[nodiscard]] double change() const { return change_; }
  [[nodiscard]] const std::vector<double>& ranks() const { return ranks_; }
  // Depends on every rank. `error` is "" when all are still what was written.
  [[nodiscard]] std::uint64_t checksum(std::string& error) const;

 private:
  // What each vertex gives along each of its edges; returns the rank of those without any.
  double share_out(Fingerprint& read);
  double gather(double dangling);
  [[nodiscard]] std::string verify(double sum, double change_before) const;

  const Graph& graph_;
  std::vector<double> ranks_;
  std::vector<double> shares_;
  Fingerprint written_;
  double change_ = 2;  // two distributions differ by no more
};

}  // namespace fallow::guests
