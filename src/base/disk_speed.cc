#include "base/disk_speed.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/text.h"

namespace fallow {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kHddLatencyNs = 8'000'000;
constexpr std::uint64_t kHddBandwidth = 120'000'000;
constexpr std::uint64_t kSsdLatencyNs = 120'000;
constexpr std::uint64_t kSsdBandwidth = 500'000'000;
// A fault that waits for longer cannot be told from one that hangs.
constexpr std::uint64_t kLatencyMostNs = kSecondNs;
constexpr std::uint64_t kBandwidthLeast = std::uint64_t{1} << 20;
constexpr std::uint64_t kBandwidthMost = std::uint64_t{8} << 30;  // times a second fits 64 bits

std::uint64_t transfer_ns(std::uint64_t bytes, std::uint64_t bytes_per_second) {
  return bytes / bytes_per_second * kSecondNs +
         bytes % bytes_per_second * kSecondNs / bytes_per_second;
}

std::string format_ms(std::uint64_t ns) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, static_cast<double>(ns) / 1e6,
                                 std::chars_format::fixed);
  return std::string(text, end.ptr) + "ms";
}

std::string format_bandwidth(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"", "K", "M", "G"};
  unsigned unit = 0;
  while (unit + 1 < std::size(kUnits) && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + kUnits[unit];
}

Error bad_speed(std::string_view text, const std::string& why) {
  return invalid("disk speed '" + std::string(text.substr(0, 80)) + "' " + why +
                 ": give disk, hdd, ssd or, for example, latency=2ms,bandwidth=200M");
}

}  // namespace

Result<DiskSpeed> DiskSpeed::parse(std::string_view text) {
  DiskSpeed speed;
  if (text == "hdd") {
    speed.kind_ = Kind::kHdd;
    speed.latency_ns_ = kHddLatencyNs;
    speed.bytes_per_second_ = kHddBandwidth;
  } else if (text == "ssd") {
    speed.kind_ = Kind::kSsd;
    speed.latency_ns_ = kSsdLatencyNs;
    speed.bytes_per_second_ = kSsdBandwidth;
  } else if (text != "disk") {
    return parse_numbers(text);
  }
  return speed;
}

Result<DiskSpeed> DiskSpeed::parse_numbers(std::string_view text) {
  const Result<Spec> spec = parse_spec("disk:" + std::string(text));
  if (!spec || spec->settings.size() != 2 || spec->settings.count("latency") == 0 ||
      spec->settings.count("bandwidth") == 0) {
    return bad_speed(text, "is unknown");
  }
  const Result<std::uint64_t> latency = parse_duration_ns(spec->settings.at("latency"));
  if (!latency) {
    return bad_speed(text, "has a latency that is no time");
  }
  const Result<std::uint64_t> bandwidth = parse_size(spec->settings.at("bandwidth"));
  if (!bandwidth) {
    return bad_speed(text, "has a bandwidth that is no size");
  }
  if (*latency > kLatencyMostNs || *bandwidth < kBandwidthLeast || *bandwidth > kBandwidthMost) {
    return bad_speed(text, "is out of bounds (a latency up to 1s, a bandwidth from 1M to 8G)");
  }
  DiskSpeed speed;
  speed.kind_ = Kind::kOther;
  speed.latency_ns_ = *latency;
  speed.bytes_per_second_ = *bandwidth;
  return speed;
}

std::uint64_t DiskSpeed::bytes_per_latency() const {
  return static_cast<std::uint64_t>(static_cast<double>(latency_ns_) / kSecondNs *
                                    static_cast<double>(bytes_per_second_));
}

std::string DiskSpeed::spec() const {
  switch (kind_) {
    case Kind::kDisk:
      return "disk";
    case Kind::kHdd:
      return "hdd";
    case Kind::kSsd:
      return "ssd";
    case Kind::kOther:
      break;
  }
  return "latency=" + format_ms(latency_ns_) + ",bandwidth=" + format_bandwidth(bytes_per_second_);
}

std::string DiskSpeed::described() const {
  return spec() + (emulated() ? " (emulated)" : "");
}

std::uint64_t DiskModel::done_ns(std::uint64_t now_ns, std::uint64_t offset, std::uint64_t bytes) {
  if (!speed_.emulated()) {
    return now_ns;
  }
  const std::uint64_t begin_ns = std::max(now_ns, busy_until_ns_);
  const std::uint64_t moved_ns = begin_ns + transfer_ns(bytes, speed_.bytes_per_second_);
  if (speed_.kind_ != DiskSpeed::Kind::kHdd) {
    busy_until_ns_ = moved_ns;  // what is shared is the way, and not the wait
    return moved_ns + speed_.latency_ns_;
  }
  busy_until_ns_ = moved_ns + (offset == head_ ? 0 : speed_.latency_ns_);
  head_ = offset + bytes;
  return busy_until_ns_;
}

}  // namespace fallow
