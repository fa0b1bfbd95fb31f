#include "node/balancer.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace fallow::node {
namespace {

VmLoad load(std::uint32_t vm, unsigned worker, double pages_per_second) {
  return {ClientId(vm), worker, pages_per_second};
}

TEST(ChooseMove, twoBusyVmsOnOneWorker_areParted) {
  const VmLoad vms[] = {load(1, 0, 50'000), load(2, 0, 40'000), load(3, 1, 100)};
  const auto move = choose_move(vms, 2);
  ASSERT_TRUE(move.has_value());
  EXPECT_EQ(move->vm, ClientId(2));
  EXPECT_EQ(move->to, 1u);
}

TEST(ChooseMove, oneBusyVm_staysWhereItIs) {
  const VmLoad vms[] = {load(1, 0, 50'000), load(2, 0, 10), load(3, 1, 0)};
  EXPECT_FALSE(choose_move(vms, 2).has_value());
}

TEST(ChooseMove, smallGain_isNotWorthAMove) {
  // 33 and 20 would become 24 and 29.
  const VmLoad vms[] = {load(1, 0, 24'000), load(2, 0, 9'000), load(3, 1, 20'000)};
  EXPECT_FALSE(choose_move(vms, 2).has_value());
}

TEST(ChooseMove, hardlyAnything_movesNobody) {
  const VmLoad vms[] = {load(1, 0, 1'000), load(2, 0, 1'000)};
  EXPECT_FALSE(choose_move(vms, 2).has_value());
}

TEST(ChooseMove, fromTheMostToTheLeast_ofManyWorkers) {
  const VmLoad vms[] = {load(1, 0, 30'000), load(2, 1, 20'000), load(3, 1, 60'000),
                        load(4, 2, 10'000)};
  const auto move = choose_move(vms, 4);
  ASSERT_TRUE(move.has_value());
  EXPECT_EQ(move->vm, ClientId(2));
  EXPECT_EQ(move->to, 3u);
}

TEST(ChooseMove, oneWorkerOrNoVm_movesNobody) {
  const VmLoad vms[] = {load(1, 0, 50'000), load(2, 0, 40'000)};
  EXPECT_FALSE(choose_move(vms, 1).has_value());
  EXPECT_FALSE(choose_move({}, 2).has_value());
}

// Whatever the loads, moves come to an end when they stay the same.
TEST(ChooseMove, steadyLoads_settle) {
  std::mt19937 random(1);
  const auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  for (int round = 0; round < 200; ++round) {
    const unsigned workers = 1 + below(8);
    std::vector<VmLoad> vms;
    for (std::uint32_t vm = 0; vm < 40; ++vm) {
      vms.push_back(load(vm, below(workers), below(100'000)));
    }
    unsigned moves = 0;
    for (auto move = choose_move(vms, workers); move; move = choose_move(vms, workers)) {
      ASSERT_NE(vms[move->vm.value].worker, move->to);
      vms[move->vm.value].worker = move->to;
      ASSERT_LT(++moves, 400u);
    }
  }
}

TEST(LeastCrowded, theFirstWorkerWithTheFewestVms) {
  EXPECT_EQ(least_crowded({}, 3), 0u);
  const unsigned taken[] = {0, 0, 1, 2};
  EXPECT_EQ(least_crowded(taken, 3), 1u);
  EXPECT_EQ(least_crowded(taken, 4), 3u);
}

TEST(LoadAverages, followTheRateAndForgetWhoIsGone) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  LoadAverages averages;
  const auto update = [&](std::uint64_t second, std::vector<LoadAverages::Count> counts) {
    return averages.update(second * kSecond, counts);
  };
  EXPECT_TRUE(update(1, {{ClientId(1), 0, 500}}).empty());
  EXPECT_EQ(update(2, {{ClientId(1), 0, 1'500}})[0].pages_per_second, 250);
  std::vector<VmLoad> loads;
  for (std::uint64_t second = 3; second < 40; ++second) {
    loads = update(second, {{ClientId(1), 0, 1'500 + 1'000 * (second - 2)}, {ClientId(2), 1, 7}});
  }
  EXPECT_NEAR(loads[0].pages_per_second, 1'000, 1);
  EXPECT_NEAR(loads[1].pages_per_second, 0, 1);
  EXPECT_EQ(loads[1].worker, 1u);
  // The number went to a VM that has met fewer pages.
  EXPECT_NEAR(update(40, {{ClientId(1), 0, 10}})[0].pages_per_second, 752.5, 1);
  EXPECT_TRUE(update(41, {}).empty());
  EXPECT_EQ(update(42, {{ClientId(1), 0, 40}})[0].pages_per_second, 10);
}

}  // namespace
}  // namespace fallow::node
