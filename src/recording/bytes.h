// Numbers and texts as bytes, little-endian, and back: reading stops at the first that is not
// there.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace fallow::recording {

class ByteWriter {
 public:
  template <typename T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  // Up to 64 KiB less one; what is longer is cut.
  void text(std::string_view text);
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Once something was missing, everything is zeros and ok() false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}
  template <typename T>
  T number() {
    T value{};
    if (take(sizeof value)) {
      std::memcpy(&value, taken_.data(), sizeof value);
    }
    return value;
  }
  std::string text();
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return left_.size(); }
  void spoil() { ok_ = false; }

 private:
  bool take(std::size_t bytes);
  std::string_view left_;
  std::string_view taken_;
  bool ok_ = true;
};

}  // namespace fallow::recording
