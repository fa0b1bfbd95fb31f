#include "pager/neighbours.h"

#include <algorithm>
#include <utility>

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
  current_ = nullptr;
  const auto known = std::find_if(left_out_.begin(), left_out_.end(),
                                  [page](const LeftOut& one) { return one.page == page + 1; });
  if (known != left_out_.end()) {
    judge(true);
    // The others are there, and so are those of a block of which nothing was left out.
    return {.proved = std::exchange(*known, {}).tells_of};
  }
  if (resting_ > 0) {
    --resting_;
    return {};
  }
  Plan plan{page & ~std::uint64_t{block_ - 1}, block_};
  if (++turns_ % 2 == 0) {
    // Neither the page itself, nor always the same.
    plan.left_out = plan.begin + (page - plan.begin + 1 + turns_ / 2 % (block_ - 1)) % block_;
    current_ = &left_out_[next_];
    if (current_->page != 0) {
      judge(false);
    }
    *current_ = {plan.left_out + 1};
    next_ = (next_ + 1) % left_out_.size();
  }
  return plan;
}

void Neighbours::brought(std::uint32_t pages) {
  untold_ += pages;
  if (current_ != nullptr) {
    current_->tells_of = std::exchange(untold_, 0);
  }
}

}  // namespace fallow::pager
