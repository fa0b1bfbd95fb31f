#include "data_caching/items.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "data_caching/options.h"

namespace fallow::guests {
namespace {

TEST(Items, EachHasAValueOfItsOwnThatChangesWhenItIsWritten) {
  Items items(3, 1);
  EXPECT_EQ(items.value(0), "");
  std::set<std::string> values;
  for (const std::uint64_t item : {0, 1, 2, 0, 1}) {
    const std::string value = items.next_value(item);
    EXPECT_EQ(items.value(item), value);
    EXPECT_TRUE(values.insert(value).second);
  }
  EXPECT_NE(Items::key(0), Items::key(1));
}

TEST(Items, ValuesDependOnTheSeed) {
  Items one(1, 1);
  Items two(1, 2);
  Items again(1, 1);
  const std::string value = one.next_value(0);
  EXPECT_NE(value, two.next_value(0));
  EXPECT_EQ(value, again.next_value(0));
}

TEST(Items, ValuesAreOfAllSizesWithinTheBounds) {
  Items items(2000, 1);
  std::size_t least = SIZE_MAX;
  std::size_t most = 0;
  for (std::uint64_t item = 0; item < items.size(); ++item) {
    const std::size_t size = items.next_value(item).size();
    least = std::min(least, size);
    most = std::max(most, size);
  }
  EXPECT_GE(least, kValueBytesMin);
  EXPECT_LT(least, kValueBytesMin + 100);
  EXPECT_LE(most, kValueBytesMax);
  EXPECT_GT(most, kValueBytesMax - 100);
}

TEST(Requests, FewItemsAreAskedForOftenAndOneRequestIn20IsASet) {
  constexpr std::uint64_t kItems = 10'000;
  Requests requests(kItems, 1);
  std::vector<int> count(kItems);
  int sets = 0;
  for (std::uint64_t i = 0; i < 10 * kItems; ++i) {
    const Request request = requests.next();
    ASSERT_LT(request.item, kItems);
    ++count[request.item];
    sets += request.is_set ? 1 : 0;
  }
  EXPECT_NEAR(sets, 5000, 500);
  const auto first_written = std::accumulate(count.begin(), count.begin() + kItems / 10, 0);
  EXPECT_LT(first_written, 20'000);
  std::sort(count.begin(), count.end(), std::greater<>());
  EXPECT_GT(std::accumulate(count.begin(), count.begin() + kItems / 10, 0), 40'000);
  EXPECT_GT(std::count_if(count.begin(), count.end(), [](int c) { return c > 0; }), 8000);
}

TEST(Requests, BearsOneItem) {
  Requests requests(1, 1);
  EXPECT_EQ(requests.next().item, 0U);
}

TEST(CachingOptions, RefusesAProgramThatIsNotThere) {
  const std::vector<const char*> arguments = {"--memcached", "/no/such/program"};
  EXPECT_EQ(std::get<std::string>(parse_caching_options(arguments)),
            "data-caching: no program '/no/such/program': install memcached, or say where it is "
            "with --memcached PATH");
}

}  // namespace
}  // namespace fallow::guests
