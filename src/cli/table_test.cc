#include "cli/table.h"

#include <gtest/gtest.h>

namespace fallow::cli {
namespace {

TEST(Table, Text_columns_areAligned) {
  Table table({{"VM"}, {"USED", Align::kRight}, {"NOTE"}});
  table.add_row({"a", "1 MiB", "x"});
  table.add_row({"long-name", "512 KiB", ""});
  EXPECT_EQ(table.text(),
            "VM            USED  NOTE\n"
            "a            1 MiB  x\n"
            "long-name  512 KiB\n");
}

TEST(Table, Text_noRows_onlyTitles) {
  EXPECT_EQ(Table({{"A"}, {"B"}}).text(), "A  B\n");
}

}  // namespace
}  // namespace fallow::cli
