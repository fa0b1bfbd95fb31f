#include "pager/neighbours.h"

#include <algorithm>

namespace fallow::pager {

void Neighbours::judge(bool used) {
  used_ += used;
  if (++judged_ < kJudged) {
    return;
  }
  if (used_ >= kJudged / 2) {
    block_ = std::min(block_ * 2, kBlockMost);
  } else if (used_ < kJudged / 4) {
    block_ /= 2;
  }
  if (block_ < kBlockLeast) {
    block_ = kBlockLeast;
    resting_ = kRest;
  }
  judged_ = 0;
  used_ = 0;
}

Neighbours::Plan Neighbours::fault(std::uint64_t page) {
  const auto known = std::find(left_out_.begin(), left_out_.end(), page + 1);
  if (known != left_out_.end()) {
    *known = 0;
    judge(true);
    // The others are there, and so are those of a block of which nothing was left out.
    return {.proved = 2 * (block_ - 1)};
  }
  if (resting_ > 0) {
    --resting_;
    return {};
  }
  Plan plan{page & ~std::uint64_t{block_ - 1}, block_};
  if (++turns_ % 2 == 0) {
    // Neither the page itself, nor always the same.
    plan.left_out = plan.begin + (page - plan.begin + 1 + turns_ / 2 % (block_ - 1)) % block_;
    if (left_out_[next_] != 0) {
      judge(false);
    }
    left_out_[next_] = plan.left_out + 1;
    next_ = (next_ + 1) % left_out_.size();
  }
  return plan;
}

}  // namespace fallow::pager
