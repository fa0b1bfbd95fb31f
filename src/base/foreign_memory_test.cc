#include "base/foreign_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace fallow {
namespace {

constexpr std::size_t kPage = 4096;

UniqueFd make_file(std::size_t size) {
  UniqueFd file(::memfd_create("foreign", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
  return file;
}

TEST(ForeignMemory, truncatedFile_readsAsZerosAndIsBroken) {
  const UniqueFd file = make_file(4 * kPage);
  auto memory = ForeignMemory::map(file.get(), kPage, 2 * kPage);
  ASSERT_TRUE(memory.ok()) << memory.error().text;
  memory->data()[kPage] = std::byte{7};
  EXPECT_FALSE(memory->broken());
  ASSERT_EQ(::ftruncate(file.get(), 2 * kPage), 0);
  std::byte byte{1};
  copy_once(&byte, memory->data() + kPage, 1);
  EXPECT_EQ(byte, std::byte{0});
  EXPECT_TRUE(memory->broken());
}

TEST(ForeignMemory, whatIsNotMemory_isRefused) {
  const UniqueFd file = make_file(kPage);
  EXPECT_FALSE(ForeignMemory::map(file.get(), 0, 2 * kPage).ok());
  EXPECT_FALSE(ForeignMemory::map(file.get(), 0, 0).ok());
  EXPECT_FALSE(ForeignMemory::map(file.get(), 100, 100).ok());
  EXPECT_TRUE(ForeignMemory::map(file.get(), 0, 100).ok());
  EXPECT_FALSE(ForeignMemory::map(file.get(), UINT64_MAX - kPage + 1, kPage).ok());
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd in(ends[0]), out(ends[1]);
  EXPECT_FALSE(ForeignMemory::map(in.get(), 0, kPage).ok());
}

TEST(BusErrorGuard, faultOutsideEveryRange_stillEndsTheProcess) {
  EXPECT_DEATH(
      {
        const UniqueFd file(::memfd_create("other", MFD_CLOEXEC));
        if (::ftruncate(file.get(), 4096) != 0) {
          ::_exit(0);
        }
        auto mapping = Mapping::map_shared(file.get(), 0, 4096);
        { const auto guard = BusErrorGuard::watch(mapping->data(), 4096, 4096); }
        if (::ftruncate(file.get(), 0) == 0) {
          *static_cast<volatile std::byte*>(mapping->data()) = std::byte{1};
        }
      },
      "");
}

}  // namespace
}  // namespace fallow
