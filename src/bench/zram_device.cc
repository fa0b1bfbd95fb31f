#include "bench/zram_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "bench/attribute.h"

namespace fallow::bench {
namespace {

const std::string kControl = "/sys/class/zram-control/";

}  // namespace

fallow::Result<std::unique_ptr<ZramDevice>> ZramDevice::create(const std::string& algorithm,
                                                               std::uint64_t bytes) {
  const auto number = read_attribute(kControl + "hot_add");  // reading it makes a device
  FALLOW_TRY(number);
  std::unique_ptr<ZramDevice> device(new ZramDevice(*number));
  FALLOW_TRY(device->open(algorithm, bytes));
  return device;
}

Status ZramDevice::open(const std::string& algorithm, std::uint64_t bytes) {
  FALLOW_TRY(write_attribute(attribute("comp_algorithm"), algorithm));
  FALLOW_TRY(write_attribute(attribute("disksize"), std::to_string(bytes)));
  fd_ = UniqueFd(::open(path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
  if (!fd_.valid()) {
    return failed_errno("cannot open '" + path() + "'", errno);
  }
  bytes_ = bytes;
  return {};
}

ZramDevice::~ZramDevice() {
  fd_ = UniqueFd();
  (void)write_attribute(attribute("reset"), "1");
  (void)write_attribute(kControl + "hot_remove", number_);
}

bool ZramDevice::write(std::span<const std::byte> data, std::uint64_t offset) {
  return ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset)) ==
         static_cast<ssize_t>(data.size());
}

bool ZramDevice::read(std::span<std::byte> data, std::uint64_t offset) {
  return ::pread(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset)) ==
         static_cast<ssize_t>(data.size());
}

void ZramDevice::discard_all() {
  std::uint64_t range[2] = {0, bytes_};
  ::ioctl(fd_.get(), BLKDISCARD, range);
}

// mm_stat: orig_data_size compr_data_size mem_used_total ...
fallow::Result<ZramDevice::Use> ZramDevice::use() const {
  const auto text = read_attribute(attribute("mm_stat"));
  FALLOW_TRY(text);
  std::istringstream words(*text);
  Use use;
  std::uint64_t compressed = 0;
  if (!(words >> use.original >> compressed >> use.memory)) {
    return failed("'" + attribute("mm_stat") + "' is not as expected");
  }
  return use;
}

}  // namespace fallow::bench
