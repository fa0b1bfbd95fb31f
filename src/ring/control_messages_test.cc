#include "ring/control_messages.h"

#include <gtest/gtest.h>

namespace fallow::ring {
namespace {

template <typename Message>
std::span<const std::byte> bytes(const Message& message) {
  return std::as_bytes(std::span(&message, 1));
}

TEST(CheckPacket, wholeMessages_areKnown) {
  const auto hello = make_message<Hello>();
  const auto type = check_packet(bytes(hello));
  ASSERT_TRUE(type.ok());
  EXPECT_EQ(*type, ControlType::kHello);
  EXPECT_EQ(*check_packet(bytes(make_refused(5, "no"))), ControlType::kRefused);
}

TEST(CheckPacket, anythingElse_isRefused) {
  EXPECT_FALSE(check_packet({}).ok());
  auto open = make_message<OpenQueue>();
  EXPECT_FALSE(check_packet(bytes(open).first(8)).ok());
  open.header.bytes = 8;
  EXPECT_FALSE(check_packet(bytes(open).first(8)).ok());
  EXPECT_FALSE(check_packet(bytes(open)).ok());
  open = make_message<OpenQueue>();
  open.header.magic = 1;
  EXPECT_FALSE(check_packet(bytes(open)).ok());
  open = make_message<OpenQueue>();
  open.header.type = static_cast<ControlType>(99);
  EXPECT_FALSE(check_packet(bytes(open)).ok());
  open.header.type = ControlType::kHello;
  EXPECT_FALSE(check_packet(bytes(open)).ok());
}

TEST(CheckHello, attachmentAndNameAreChecked) {
  auto hello = make_message<Hello>();
  EXPECT_FALSE(check_hello(hello).ok());
  hello.attach = Attach::kDisk;
  EXPECT_TRUE(check_hello(hello).ok());
  EXPECT_EQ(name_of(hello), "");
  std::memset(hello.name, 'x', sizeof hello.name);
  EXPECT_FALSE(check_hello(hello).ok());
  hello.name[3] = 0;
  EXPECT_EQ(name_of(hello), "xxx");
}

TEST(ChooseVersion, highestOfBoth) {
  EXPECT_EQ(choose_version(1, 1), 1);
  EXPECT_EQ(choose_version(1, 9), kVersionLast);
  EXPECT_EQ(choose_version(0, 1), 1);
  EXPECT_EQ(choose_version(kVersionLast + 1, kVersionLast + 2), std::nullopt);
  EXPECT_EQ(choose_version(0, 0), std::nullopt);
  EXPECT_EQ(choose_version(2, 1), std::nullopt);
}

TEST(MakeRefused, longText_isCutAndEnds) {
  const Refused refused = make_refused(7, std::string(1000, 'x'));
  EXPECT_EQ(refused.error, 7);
  EXPECT_EQ(std::string_view(refused.text).size(), sizeof refused.text - 1);
}

}  // namespace
}  // namespace fallow::ring
