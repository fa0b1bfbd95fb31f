#include "frontend/vhost_user/block_request.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/vhost_user/fake_block_device.h"
#include "frontend/vhost_user/virtio_ring_abi.h"

namespace fallow::vhost_user {
namespace {

// Guest memory of 1 MiB at 0 in two regions, with a ring of 256 at its start; the tests lay out
// chains in it by hand.
class BlockRequestTest : public testing::Test {
 protected:
  static constexpr std::size_t kSize = 1 << 20;
  static constexpr std::uint64_t kUser = 0x100000;
  static constexpr std::uint64_t kHeader = 0x10000, kStatus = 0x11000, kData = 0x20000;

  void SetUp() override {
    std::vector<UniqueFd> fds;
    fds.emplace_back(::memfd_create("guest", MFD_CLOEXEC));
    ASSERT_EQ(::ftruncate(fds[0].get(), kSize), 0);
    fds.emplace_back(::dup(fds[0].get()));
    const Region regions[] = {{0, kSize / 2, kUser, 0},
                              {kSize / 2, kSize / 2, kUser + kSize, kSize / 2}};
    memory_ = std::move(*GuestMemory::map(regions, fds));
    Virtqueue::Settings settings;
    settings.size = 256;
    settings.addresses = {0, 0, kUser, kUser + 0x8000, kUser + 0x4000, 0};
    ring_ = std::make_unique<Virtqueue>(std::move(*Virtqueue::map(memory_, settings)));
  }
  template <typename T>
  void put(std::uint64_t address, const T& value) {
    std::memcpy(memory_.guest_run(address, sizeof value).data(), &value, sizeof value);
  }
  ParseResult parse(std::uint32_t type, std::uint64_t sector, std::vector<Descriptor> data) {
    put(kHeader, virtio_blk_outhdr{type, 0, sector});
    data.insert(data.begin(), {kHeader, 16, 0, 0});
    data.push_back({kStatus, 1, VRING_DESC_F_WRITE, 0});
    return parse_chain(data);
  }
  ParseResult parse_chain(std::vector<Descriptor> chain) {
    for (std::size_t i = 0; i < chain.size(); ++i) {
      if (i + 1 < chain.size()) {
        chain[i].flags |= VRING_DESC_F_NEXT;
        chain[i].next = static_cast<std::uint16_t>(i + 1);
      }
      put(i * sizeof(Descriptor), chain[i]);
    }
    put(0x4002, ++available_);
    EXPECT_EQ(ring_->take(memory_, chain_), Virtqueue::Take::kChain);
    return parse_block_request(chain_, memory_, shape_, room_, request_);
  }
  static bool is_error(const ParseResult& result) {
    return result.parsed == Parsed::kAnswered && result.answer == VIRTIO_BLK_S_IOERR;
  }

  FakeBlockDevice device_{1 << 20};
  DeviceShape shape_ = make_shape(device_, 1, "a serial number that is too long");
  GuestMemory memory_;
  std::unique_ptr<Virtqueue> ring_;
  std::uint16_t available_ = 0;
  Chain chain_;
  SegmentRoom room_;
  BlockRequest request_;
};

constexpr std::uint16_t kWritable = VRING_DESC_F_WRITE;

TEST_F(BlockRequestTest, parse_read_givesRangeAndSegments) {
  const auto result =
      parse(VIRTIO_BLK_T_IN, 8, {{kData, 4096, kWritable, 0}, {kData + 8192, 512, kWritable, 0}});
  ASSERT_EQ(result.parsed, Parsed::kSubmit);
  EXPECT_EQ(request_.op, IoOp::kRead);
  EXPECT_EQ(request_.offset, 4096u);
  EXPECT_EQ(request_.length, 4608u);
  ASSERT_EQ(request_.segments.size(), 2u);
  EXPECT_EQ(request_.segments[1].iov_base, memory_.guest_run(kData + 8192, 1).data());
  EXPECT_EQ(request_.written, 4609u);
}

TEST_F(BlockRequestTest, parse_headerAndDataInOddPieces_isUnderstood) {
  put(kHeader, virtio_blk_outhdr{VIRTIO_BLK_T_OUT, 0, 1});
  const auto result =
      parse_chain({{kHeader, 3, 0, 0}, {kHeader + 3, 13 + 512, 0, 0}, {kStatus, 1, kWritable, 0}});
  ASSERT_EQ(result.parsed, Parsed::kSubmit);
  EXPECT_EQ(request_.op, IoOp::kWrite);
  EXPECT_EQ(request_.length, 512u);
  EXPECT_EQ(request_.segments[0].iov_base, memory_.guest_run(kHeader + 16, 1).data());
}

TEST_F(BlockRequestTest, parse_statusBehindDataInOneDescriptor_isFound) {
  put(kHeader, virtio_blk_outhdr{VIRTIO_BLK_T_IN, 0, 0});
  ASSERT_EQ(parse_chain({{kHeader, 16, 0, 0}, {kData, 513, kWritable, 0}}).parsed, Parsed::kSubmit);
  EXPECT_EQ(request_.status, memory_.guest_run(kData + 512, 1).data());
  EXPECT_EQ(request_.length, 512u);
}

TEST_F(BlockRequestTest, parse_segmentAcrossRegions_isCut) {
  const auto result = parse(VIRTIO_BLK_T_IN, 0, {{kSize / 2 - 512, 1024, kWritable, 0}});
  ASSERT_EQ(result.parsed, Parsed::kSubmit);
  ASSERT_EQ(request_.segments.size(), 2u);
  EXPECT_EQ(request_.segments[0].iov_len, 512u);
}

TEST_F(BlockRequestTest, parse_rangesAtTheEnd_areExact) {
  const std::uint64_t end = shape_.capacity_sectors;
  EXPECT_EQ(parse(VIRTIO_BLK_T_IN, end - 1, {{kData, 512, kWritable, 0}}).parsed, Parsed::kSubmit);
  EXPECT_TRUE(is_error(parse(VIRTIO_BLK_T_IN, end - 1, {{kData, 1024, kWritable, 0}})));
  EXPECT_TRUE(is_error(parse(VIRTIO_BLK_T_IN, end, {{kData, 512, kWritable, 0}})));
  EXPECT_TRUE(is_error(parse(VIRTIO_BLK_T_IN, UINT64_MAX, {{kData, 512, kWritable, 0}})));
}

TEST_F(BlockRequestTest, parse_badData_isAnError) {
  EXPECT_TRUE(is_error(parse(VIRTIO_BLK_T_IN, 0, {})));
  EXPECT_TRUE(is_error(parse(VIRTIO_BLK_T_IN, 0, {{kData, 100, kWritable, 0}})));
  EXPECT_TRUE(is_error(parse(VIRTIO_BLK_T_OUT, 0, {{kSize - 512, 1024, 0, 0}})));
  EXPECT_TRUE(is_error(parse(VIRTIO_BLK_T_OUT, 0, {{UINT64_MAX - 100, 512, 0, 0}})));
  EXPECT_TRUE(is_error(parse(VIRTIO_BLK_T_OUT, 0, {{kData, UINT32_MAX - 511, 0, 0}})));
}

TEST_F(BlockRequestTest, parse_tooManySegments_isAnError) {
  std::vector<Descriptor> data(kSegmentsMax, {kData, 512, kWritable, 0});
  EXPECT_EQ(parse(VIRTIO_BLK_T_IN, 0, data).parsed, Parsed::kSubmit);
  data.resize(kSegmentsMax + kRegionsMax + 1, {kData, 512, kWritable, 0});
  EXPECT_TRUE(is_error(parse(VIRTIO_BLK_T_IN, 0, data)));
}

TEST_F(BlockRequestTest, parse_shortHeader_isAnError) {
  EXPECT_TRUE(is_error(parse_chain({{kHeader, 15, 0, 0}, {kStatus, 1, kWritable, 0}})));
  EXPECT_TRUE(is_error(parse_chain({{kStatus, 1, kWritable, 0}})));
}

TEST_F(BlockRequestTest, parse_withoutStatus_isUnanswerable) {
  EXPECT_EQ(parse_chain({{kHeader, 16, 0, 0}}).parsed, Parsed::kUnanswerable);
  EXPECT_EQ(parse_chain({{kHeader, 16, 0, 0}, {kSize, 1, kWritable, 0}}).parsed,
            Parsed::kUnanswerable);
  EXPECT_EQ(parse_chain({{kHeader, 16, 0, 0}, {kStatus, 0, kWritable, 0}}).parsed,
            Parsed::kUnanswerable);
}

TEST_F(BlockRequestTest, parse_ranges_areHeldToTheLimits) {
  const auto parse_range = [this](std::uint32_t type, virtio_blk_discard_write_zeroes range) {
    put(kData, range);
    return parse(type, 0, {{kData, sizeof range, 0, 0}});
  };
  EXPECT_EQ(parse_range(VIRTIO_BLK_T_DISCARD, {8, 16, 0}).parsed, Parsed::kSubmit);
  EXPECT_EQ(request_.op, IoOp::kDiscard);
  EXPECT_EQ(request_.offset, 4096u);
  EXPECT_EQ(request_.length, 8192u);
  EXPECT_EQ(parse_range(VIRTIO_BLK_T_DISCARD, {8, 16, 1}).answer, VIRTIO_BLK_S_UNSUPP);
  EXPECT_EQ(parse_range(VIRTIO_BLK_T_WRITE_ZEROES, {8, 16, 1}).parsed, Parsed::kSubmit);
  EXPECT_EQ(request_.op, IoOp::kWriteZeroes);
  EXPECT_EQ(parse_range(VIRTIO_BLK_T_WRITE_ZEROES, {8, 16, 2}).answer, VIRTIO_BLK_S_UNSUPP);
  EXPECT_TRUE(is_error(parse_range(VIRTIO_BLK_T_DISCARD, {0, 0, 0})));
  EXPECT_TRUE(is_error(parse_range(VIRTIO_BLK_T_DISCARD, {0, kRangeSectorsMax + 1, 0})));
  EXPECT_TRUE(is_error(parse_range(VIRTIO_BLK_T_DISCARD, {2047, 2, 0})));
  EXPECT_TRUE(is_error(parse_range(VIRTIO_BLK_T_DISCARD, {UINT64_MAX, UINT32_MAX, 0})));
}

TEST_F(BlockRequestTest, parse_getId_writesTheSerialCutToTwentyBytes) {
  const auto result = parse(VIRTIO_BLK_T_GET_ID, 0, {{kData, 20, kWritable, 0}});
  EXPECT_EQ(result.parsed, Parsed::kAnswered);
  EXPECT_EQ(result.answer, VIRTIO_BLK_S_OK);
  EXPECT_EQ(request_.written, 21u);
  const auto run = memory_.guest_run(kData, 21);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(run.data()), 21),
            std::string("a serial number that") + '\0');
}

TEST_F(BlockRequestTest, parse_unknownType_isUnsupported) {
  EXPECT_EQ(parse(VIRTIO_BLK_T_SECURE_ERASE, 0, {}).answer, VIRTIO_BLK_S_UNSUPP);
  EXPECT_EQ(parse(UINT32_MAX, 0, {}).answer, VIRTIO_BLK_S_UNSUPP);
}

}  // namespace
}  // namespace fallow::vhost_user
