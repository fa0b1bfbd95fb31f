// Alternating least squares with weighted regularization (Zhou, Wilkinson, Schreiber and Pan,
// 2008): with the movies' factors held, the best factors of each user solve a small system of
// equations, and then the other way about. What is known of it is checked at every step.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <string>
#include <vector>

#include "in_memory_analytics/rating_table.h"

namespace fallow::guests {

inline constexpr std::uint64_t kFactorsMax = 64;

class LeastSquares {
 public:
  // `table` must outlive it.
  LeastSquares(const RatingTable& table, std::uint64_t factors, std::uint64_t seed);

  // One iteration. "", or what proves that memory came back wrong: each half of it makes the sum
  // that is minimized smaller.
  std::string iterate();
  // Whether the movies' factors are still those that the last iteration has found: solves them
  // again.
  std::string verify();

  // The root of the mean square of how far off the ratings are after the last iteration.
  [[nodiscard]] double rmse() const { return rmse_; }
  // Depends on every factor.
  [[nodiscard]] std::uint64_t checksum() const;

 private:
  // Bounded, so that the equations are in the object and not on the heap.
  static constexpr int kMax = static_cast<int>(kFactorsMax);
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor, kMax, kMax>;
  using Vector = Eigen::Matrix<double, Eigen::Dynamic, 1, Eigen::ColMajor, kMax, 1>;
  using Factors = std::vector<float>;
  using Row = Eigen::Map<const Eigen::VectorXf>;

  [[nodiscard]] Row row(const Factors& factors, std::uint64_t number) const;
  const Vector& solve(std::span<const Opinion> opinions, const Factors& held);
  void solve_side(const RatingSide& side, const Factors& held, Factors& sought);
  // Of all users' ratings, and of all factors.
  double squared_errors() const;
  double penalty(const RatingSide& side, const Factors& factors) const;

  const RatingTable& table_;
  const Eigen::Index size_;
  Factors users_;
  Factors movies_;
  Matrix normal_;
  Vector solution_;
  double cost_;
  double rmse_ = 0;
};

}  // namespace fallow::guests
