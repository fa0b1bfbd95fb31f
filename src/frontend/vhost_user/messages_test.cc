#include "frontend/vhost_user/messages.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <cstring>

namespace fallow::vhost_user {
namespace {

Message make(RequestType type, std::span<const std::byte> payload, std::size_t fds = 0) {
  Message message;
  message.header = {static_cast<std::uint32_t>(type), kVersion,
                    static_cast<std::uint32_t>(payload.size())};
  std::copy(payload.begin(), payload.end(), message.bytes.begin());
  for (std::size_t i = 0; i < fds; ++i) {
    message.fds.emplace_back(::eventfd(0, EFD_CLOEXEC));
  }
  return message;
}

std::vector<std::byte> table_payload(std::uint32_t count, std::size_t regions) {
  std::vector<std::byte> payload(8 + regions * sizeof(Region));
  std::memcpy(payload.data(), &count, sizeof count);
  return payload;
}

TEST(Messages, checkHeader_refusesVersionsRepliesAndSizes) {
  EXPECT_TRUE(check_header({1, kVersion, 0}).ok());
  EXPECT_TRUE(check_header({1, kVersion | kFlagNeedReply, kPayloadMax}).ok());
  EXPECT_FALSE(check_header({1, 0, 0}).ok());
  EXPECT_FALSE(check_header({1, 2, 0}).ok());
  EXPECT_FALSE(check_header({1, kVersion | kFlagReply, 0}).ok());
  EXPECT_FALSE(check_header({1, kVersion, kPayloadMax + 1}).ok());
}

TEST(Messages, checkShape_holdsEachRequestToItsSizeAndDescriptors) {
  const auto shape = [](RequestType type, std::uint32_t size, std::size_t fds) {
    return check_shape({static_cast<std::uint32_t>(type), kVersion, size}, fds).ok();
  };
  EXPECT_TRUE(shape(RequestType::kSetFeatures, 8, 0));
  EXPECT_FALSE(shape(RequestType::kSetFeatures, 7, 0));
  EXPECT_FALSE(shape(RequestType::kSetFeatures, 9, 0));
  EXPECT_FALSE(shape(RequestType::kSetFeatures, 8, 1));
  EXPECT_TRUE(shape(RequestType::kSetVringKick, 8, 1));
  EXPECT_FALSE(shape(RequestType::kSetVringKick, 8, 2));
  EXPECT_FALSE(shape(RequestType::kSetMemTable, 8, 0));
  EXPECT_TRUE(shape(RequestType::kSetMemTable, 40, 1));
  EXPECT_FALSE(shape(static_cast<RequestType>(0), 0, 0));
  EXPECT_FALSE(shape(static_cast<RequestType>(22), 0, 0));
}

TEST(Messages, decodeMemoryTable_wantsOneDescriptorForEachRegion) {
  const auto decode = [](std::uint32_t count, std::size_t regions, std::size_t fds) {
    return decode_memory_table(make(RequestType::kSetMemTable, table_payload(count, regions), fds))
        .ok();
  };
  EXPECT_TRUE(decode(2, 2, 2));
  EXPECT_TRUE(decode(8, 8, 8));
  EXPECT_FALSE(decode(2, 2, 1));
  EXPECT_FALSE(decode(2, 1, 2));
  EXPECT_FALSE(decode(0, 1, 0));
  EXPECT_FALSE(decode(9, 8, 8));
  EXPECT_FALSE(decode(UINT32_MAX, 8, 8));
}

TEST(Messages, decodeVringFd_matchesTheDescriptorItBrings) {
  const auto decode = [](std::uint64_t word, std::size_t fds) {
    return decode_vring_fd(
        make(RequestType::kSetVringCall, std::as_bytes(std::span(&word, 1)), fds));
  };
  EXPECT_EQ(decode(5, 1)->index, 5u);
  EXPECT_TRUE(decode(5, 1)->has_fd);
  EXPECT_FALSE(decode(0x105, 0)->has_fd);
  EXPECT_FALSE(decode(0x105, 1).ok());
  EXPECT_FALSE(decode(5, 0).ok());
  EXPECT_FALSE(decode(0x205, 1).ok());
}

TEST(Messages, decodeConfigWindow_staysWithinTheSpace) {
  const auto decode = [](ConfigWindow window, std::size_t payload) {
    std::vector<std::byte> bytes(sizeof window + payload);
    std::memcpy(bytes.data(), &window, sizeof window);
    return decode_config_window(make(RequestType::kGetConfig, bytes)).ok();
  };
  EXPECT_TRUE(decode({0, 60, 0}, 60));
  EXPECT_TRUE(decode({196, 60, 0}, 60));
  EXPECT_FALSE(decode({197, 60, 0}, 60));
  EXPECT_FALSE(decode({UINT32_MAX, 60, 0}, 60));
  EXPECT_FALSE(decode({0, UINT32_MAX, 0}, 60));
  EXPECT_FALSE(decode({0, 59, 0}, 60));
}

TEST(Messages, makeReply_carriesRequestAndPayload) {
  const Reply reply = make_reply_u64({17, kVersion | kFlagNeedReply, 0}, 64);
  Header header;
  std::uint64_t value = 0;
  ASSERT_EQ(reply.size, sizeof header + sizeof value);
  std::memcpy(&header, reply.bytes.data(), sizeof header);
  std::memcpy(&value, reply.bytes.data() + sizeof header, sizeof value);
  EXPECT_EQ(header.request, 17u);
  EXPECT_EQ(header.flags, kVersion | kFlagReply);
  EXPECT_EQ(header.size, sizeof value);
  EXPECT_EQ(value, 64u);
}

}  // namespace
}  // namespace fallow::vhost_user
