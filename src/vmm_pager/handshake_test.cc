#include "vmm_pager/handshake.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "base/file.h"

namespace fallow::vmm_pager {
namespace {

std::string mapping(const std::string& address, const std::string& size, const std::string& offset,
                    const std::string& more = ",\"page_size\":4096") {
  return "{\"base_host_virt_addr\":" + address + ",\"size\":" + size + ",\"offset\":" + offset +
         more + "}";
}

std::string error_of(const std::string& text) {
  const auto mappings = parse_handshake(text);
  return mappings ? "" : mappings.error().text;
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(HandshakeTest, readsWhatVmmsOfAnyAgeSay) {
  const auto mappings = parse_handshake("[" + mapping("4096", "8192", "0") + "," +
                                        mapping("140737488281600", "4096", "8192", "") + "]");
  ASSERT_TRUE(mappings.ok()) << mappings.error().text;
  EXPECT_EQ(mappings->size(), 2u);
  for (const char* more :
       {"", ",\"page_size\":4096", ",\"page_size_kib\":4", ",\"page_size_kib\":4096",
        ",\"page_size\":4096,\"page_size_kib\":4096"}) {
    const auto one = parse_handshake("[" + mapping("4096", "8192", "12288", more) + "]");
    ASSERT_TRUE(one.ok()) << one.error().text;
    EXPECT_EQ(one->front().address, 4096u);
    EXPECT_EQ(one->front().bytes, 8192u);
    EXPECT_EQ(one->front().offset, 12288u);
  }
}

TEST(HandshakeTest, refusesWhatIsNoArrayOfMappings) {
  for (const char* text : {"", "[", "[]", "{}", "1", "null", "[1]", "[[]]", "hello", "[{}] x",
                           "\xff\xfe", "[{\"size\":"}) {
    EXPECT_NE(error_of(text), "") << text;
  }
}

TEST(HandshakeTest, refusesFieldsThatAreMissingUnknownOrNoNumbers) {
  EXPECT_TRUE(says(error_of("[{\"size\":4096,\"offset\":0}]"), "base_host_virt_addr"));
  EXPECT_TRUE(says(error_of("[{\"base_host_virt_addr\":4096,\"offset\":0}]"), "size"));
  EXPECT_TRUE(says(error_of("[{\"base_host_virt_addr\":4096,\"size\":4096}]"), "offset"));
  EXPECT_TRUE(says(error_of("[" + mapping("4096", "4096", "0", ",\"more\":1") + "]"), "more"));
  EXPECT_TRUE(says(error_of("[" + mapping("-4096", "4096", "0") + "]"), "base_host_virt_addr"));
  EXPECT_TRUE(says(error_of("[" + mapping("4096.0", "4096", "0") + "]"), "base_host_virt_addr"));
  EXPECT_TRUE(says(error_of("[" + mapping("\"4096\"", "4096", "0") + "]"), "base_host_virt_addr"));
  EXPECT_TRUE(says(error_of("[" + mapping("99999999999999999999999", "4096", "0") + "]"),
                   "base_host_virt_addr"));
}

TEST(HandshakeTest, refusesSizesThatCannotBe) {
  EXPECT_TRUE(says(error_of("[" + mapping("4096", "0", "0") + "]"), "empty"));
  EXPECT_TRUE(says(error_of("[" + mapping("4097", "4096", "0") + "]"), "whole pages"));
  EXPECT_TRUE(says(error_of("[" + mapping("4096", "4095", "0") + "]"), "whole pages"));
  EXPECT_TRUE(says(error_of("[" + mapping("4096", "4096", "1") + "]"), "whole pages"));
  EXPECT_TRUE(says(error_of("[" + mapping("4096", "18446744073709547520", "0") + "]"), "larger"));
  EXPECT_TRUE(says(error_of("[" + mapping("18446744073709547520", "8192", "0") + "]"), "larger"));
  EXPECT_TRUE(
      says(error_of("[" + mapping("4096", "4096", "18446744073709547520") + "]"), "larger"));
  EXPECT_TRUE(says(error_of("[" + mapping("0", "4096", "0") + "]"), "larger"));
}

TEST(HandshakeTest, refusesHugePages) {
  EXPECT_TRUE(says(error_of("[" + mapping("4096", "4096", "0", ",\"page_size\":2097152") + "]"),
                   "huge pages"));
  EXPECT_TRUE(says(error_of("[" + mapping("4096", "4096", "0", ",\"page_size_kib\":2048") + "]"),
                   "huge pages"));
}

TEST(HandshakeTest, refusesMappingsThatOverlap) {
  EXPECT_TRUE(says(
      error_of("[" + mapping("8192", "8192", "0") + "," + mapping("4096", "8192", "65536") + "]"),
      "overlap in the VMM's memory"));
  EXPECT_TRUE(says(
      error_of("[" + mapping("4096", "8192", "4096") + "," + mapping("65536", "8192", "0") + "]"),
      "overlap in the file"));
}

TEST(HandshakeTest, knowsTheEndOfTheFile) {
  EXPECT_TRUE(check_within({{4096, 8192, 4096}}, 12288).ok());
  EXPECT_FALSE(check_within({{4096, 8192, 8192}}, 12288).ok());
}

class HandshakeSocketTest : public testing::Test {
 protected:
  HandshakeSocketTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ours_.reset(ends[0]);
    theirs_.reset(ends[1]);
  }
  void say(const std::string& text) {
    EXPECT_EQ(::send(theirs_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  std::string error(int timeout_ms = 2000) {
    const auto handshake = receive_handshake(ours_.get(), timeout_ms);
    return handshake ? "" : handshake.error().text;
  }
  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST_F(HandshakeSocketTest, isNotMetWithSilence) {
  EXPECT_TRUE(says(error(20), "in time"));
}

TEST_F(HandshakeSocketTest, isNotMetWithHalfAMessage) {
  say("[{\"base_host_virt_addr\":4096,");
  EXPECT_TRUE(says(error(20), "in time"));
  theirs_.reset();
  EXPECT_TRUE(says(error(), "closed"));
}

TEST_F(HandshakeSocketTest, isNotMetWithTooMuch) {
  say("[" + std::string(kHandshakeBytesMax, ' '));
  EXPECT_TRUE(says(error(), "longer"));
}

TEST_F(HandshakeSocketTest, needsADescriptor) {
  say("[" + mapping("4096", "4096", "0") + "]");
  EXPECT_TRUE(says(error(), "no userfaultfd"));
}

}  // namespace
}  // namespace fallow::vmm_pager
