#include "recording/bytes.h"

#include <algorithm>

namespace fallow::recording {
namespace {

constexpr std::size_t kTextMax = 0xffff;

}  // namespace

void ByteWriter::text(std::string_view text) {
  const std::string_view kept = text.substr(0, kTextMax);
  number(static_cast<std::uint16_t>(kept.size()));
  bytes_.append(kept);
}

std::string ByteReader::text() {
  const auto size = number<std::uint16_t>();
  return take(size) ? std::string(taken_) : std::string();
}

bool ByteReader::take(std::size_t bytes) {
  ok_ = ok_ && bytes <= left_.size();
  if (ok_) {
    taken_ = left_.substr(0, bytes);
    left_.remove_prefix(bytes);
  }
  return ok_;
}

}  // namespace fallow::recording
