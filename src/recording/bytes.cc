#include "recording/bytes.h"

namespace fallow::recording {
namespace {

constexpr std::size_t kTextMax = 0xffff;

}  // namespace

void ByteWriter::text(std::string_view text) {
  const std::string_view kept = text.substr(0, kTextMax);
  number(static_cast<std::uint16_t>(kept.size()));
  bytes_.append(kept);
}

void ByteReader::flag(bool& value) {
  std::uint8_t byte = 0;
  number(byte);
  value = byte != 0;
}

void ByteReader::text(std::string& text) {
  std::uint16_t size = 0;
  number(size);
  text = take(size) ? taken_ : std::string_view();
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
