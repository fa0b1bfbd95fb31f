#include "in_memory_analytics/least_squares.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "common/mix.h"
#include "common/report.h"

namespace fallow::guests {
namespace {

constexpr double kRegularization = 0.05;
// Factors are kept as float: the sum may grow by what that rounds off.
constexpr double kSlack = 1e-5;

// Never 0: without a rating there is nothing but the penalty, and the factors become 0.
double weight(std::span<const Opinion> opinions) {
  return kRegularization * static_cast<double>(std::max<std::size_t>(opinions.size(), 1));
}

}  // namespace

LeastSquares::LeastSquares(const RatingTable& table, std::uint64_t factors, std::uint64_t seed)
    : table_(table),
      size_(static_cast<Eigen::Index>(factors)),
      users_(table.users().size() * factors),
      movies_(table.movies().size() * factors),
      cost_(std::numeric_limits<double>::infinity()) {
  Random random(seed);
  for (float& factor : movies_) {
    factor = static_cast<float>(random.fraction());
  }
}

LeastSquares::Row LeastSquares::row(const Factors& factors, std::uint64_t number) const {
  return {factors.data() + number * static_cast<std::uint64_t>(size_), size_};
}

const LeastSquares::Vector& LeastSquares::solve(std::span<const Opinion> opinions,
                                                const Factors& held) {
  normal_ = Matrix::Identity(size_, size_) * weight(opinions);
  solution_ = Vector::Zero(size_);
  for (const Opinion& opinion : opinions) {
    const Vector other = row(held, opinion.other).cast<double>();
    normal_.selfadjointView<Eigen::Lower>().rankUpdate(other);
    solution_ += other * double{opinion.stars};
  }
  const Eigen::LLT<Eigen::Ref<Matrix>, Eigen::Lower> cholesky(normal_);
  cholesky.solveInPlace(solution_);
  return solution_;
}

void LeastSquares::solve_side(const RatingSide& side, const Factors& held, Factors& sought) {
  for (std::uint64_t number = 0; number < side.size(); ++number) {
    float* const place = sought.data() + number * static_cast<std::uint64_t>(size_);
    Eigen::Map<Eigen::VectorXf>(place, size_) = solve(side.of(number), held).cast<float>();
  }
}

double LeastSquares::squared_errors() const {
  double sum = 0;
  for (std::uint64_t user = 0; user < table_.users().size(); ++user) {
    const Vector likes = row(users_, user).cast<double>();
    for (const Opinion& opinion : table_.users().of(user)) {
      const double error = likes.dot(row(movies_, opinion.other).cast<double>()) - opinion.stars;
      sum += error * error;
    }
  }
  return sum;
}

double LeastSquares::penalty(const RatingSide& side, const Factors& factors) const {
  double sum = 0;
  for (std::uint64_t number = 0; number < side.size(); ++number) {
    sum += weight(side.of(number)) * row(factors, number).cast<double>().squaredNorm();
  }
  return sum;
}

std::string LeastSquares::iterate() {
  solve_side(table_.users(), movies_, users_);
  solve_side(table_.movies(), users_, movies_);
  const double errors = squared_errors();
  const double before = cost_;
  cost_ = errors + penalty(table_.users(), users_) + penalty(table_.movies(), movies_);
  rmse_ = std::sqrt(errors / static_cast<double>(table_.users().ratings()));
  if (!std::isfinite(cost_) || cost_ > before * (1 + kSlack)) {
    return printed("the cost became %.9g after %.9g: memory came back wrong", cost_, before);
  }
  return "";
}

std::string LeastSquares::verify() {
  for (std::uint64_t movie = 0; movie < table_.movies().size(); ++movie) {
    const Vector& solution = solve(table_.movies().of(movie), users_);
    if (row(movies_, movie) != solution.cast<float>()) {
      return "the factors of movie " + std::to_string(movie) +
             " are no longer what was found for it: memory came back wrong";
    }
  }
  return "";
}

std::uint64_t LeastSquares::checksum() const {
  Fingerprint sum;
  for (const Factors* factors : {&users_, &movies_}) {
    for (const float factor : *factors) {
      sum.add(std::bit_cast<std::uint32_t>(factor));
    }
  }
  return sum.value();
}

}  // namespace fallow::guests
