#include "frontend/vhost_user/message_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

#include "base/passed_descriptors.h"

namespace fallow::vhost_user {
namespace {

class MessageChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peer_.reset(ends[0]);
    channel_ = std::make_unique<MessageChannel>(UniqueFd(ends[1]));
  }
  void send(std::span<const std::byte> bytes, int fd = -1) {
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    PassedDescriptors<1> passed;
    msghdr head{};
    head.msg_iov = &part;
    head.msg_iovlen = 1;
    if (fd >= 0) {
      passed.give(head, {&fd, 1});
    }
    ASSERT_EQ(::sendmsg(peer_.get(), &head, 0), static_cast<ssize_t>(bytes.size()));
  }
  static std::vector<std::byte> message(std::uint32_t request, std::uint32_t payload) {
    const Header header{request, kVersion, payload};
    std::vector<std::byte> bytes(sizeof header + payload, std::byte{9});
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
  }

  UniqueFd event_{::eventfd(0, EFD_CLOEXEC)};
  UniqueFd peer_;
  std::unique_ptr<MessageChannel> channel_;
};

using Event = MessageChannel::Event;

TEST_F(MessageChannelTest, receive_twoMessagesInOneWrite_givesThemOneByOne) {
  auto bytes = message(2, 8);
  const auto second = message(3, 0);
  bytes.insert(bytes.end(), second.begin(), second.end());
  send(bytes);
  ASSERT_EQ(channel_->receive().value(), Event::kMessage);
  EXPECT_EQ(channel_->message().type(), RequestType::kSetFeatures);
  EXPECT_EQ(channel_->message().payload()[7], std::byte{9});
  channel_->next();
  ASSERT_EQ(channel_->receive().value(), Event::kMessage);
  EXPECT_EQ(channel_->message().type(), RequestType::kSetOwner);
  channel_->next();
  EXPECT_EQ(channel_->receive().value(), Event::kNothingYet);
}

TEST_F(MessageChannelTest, receive_byteByByte_isNeverEarly) {
  const auto bytes = message(2, 8);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(channel_->receive().value(), Event::kNothingYet);
    send({&bytes[i], 1});
  }
  EXPECT_EQ(channel_->receive().value(), Event::kMessage);
}

TEST_F(MessageChannelTest, receive_descriptors_areOwnedAndClosedByNext) {
  send(message(12, 8), event_.get());
  ASSERT_EQ(channel_->receive().value(), Event::kMessage);
  ASSERT_EQ(channel_->message().fds.size(), 1u);
  const int fd = channel_->message().fds[0].get();
  EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  channel_->next();
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST_F(MessageChannelTest, receive_descriptorWithEveryByte_isRefusedAtTheNinth) {
  const auto bytes = message(2, 8);
  for (std::size_t i = 0; i < 8; ++i) {
    send({&bytes[i], 1}, event_.get());
    EXPECT_EQ(channel_->receive().value(), Event::kNothingYet);
  }
  send({&bytes[8], 1}, event_.get());
  EXPECT_FALSE(channel_->receive().ok());
}

TEST_F(MessageChannelTest, receive_socketItself_isRefusedAtOnce) {
  const auto bytes = message(12, 8);
  send(std::span(bytes).first(3), peer_.get());
  EXPECT_FALSE(channel_->receive().ok());
}

TEST_F(MessageChannelTest, receive_badHeader_isAnError) {
  const Header header{1, 0, 0};
  send(std::as_bytes(std::span(&header, 1)));
  EXPECT_FALSE(channel_->receive().ok());
}

TEST_F(MessageChannelTest, receive_peerGone_isClosed) {
  EXPECT_FALSE(channel_->hung_up());
  peer_.reset();
  EXPECT_TRUE(channel_->hung_up());
  EXPECT_EQ(channel_->receive().value(), Event::kClosed);
}

TEST_F(MessageChannelTest, send_peerThatNeverReads_failsInsteadOfBlocking) {
  const Reply reply = make_reply_u64({1, kVersion, 0}, 0);
  Status sent;
  for (int i = 0; i < 100'000 && sent.ok(); ++i) {
    sent = channel_->send(reply);
  }
  EXPECT_FALSE(sent.ok());
}

}  // namespace
}  // namespace fallow::vhost_user
