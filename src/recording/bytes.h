// Numbers and texts as bytes, little-endian, and back: reading stops at the first that is not
// there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::recording {

// Both have the same functions, so that the fields of an entry are listed once for writing and
// reading.
class ByteWriter {
 public:
  template <typename T>
  void number(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void flag(bool value) { bytes_ += static_cast<char>(value); }
  // Up to 64 KiB less one; what is longer is cut.
  void text(std::string_view text);
  // What is beyond `most` is left out. `each` writes one.
  template <typename Entry, typename Each>
  void list(const std::vector<Entry>& all, std::size_t most, Each each) {
    const std::size_t count = std::min(all.size(), most);
    number(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
      each(all[i]);
    }
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Once something was missing, everything is zeros and ok() false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}
  template <typename T>
  void number(T& value) {
    value = {};
    if (take(sizeof value)) {
      std::memcpy(&value, taken_.data(), sizeof value);
    }
  }
  void flag(bool& value);
  void text(std::string& text);
  // One that is longer than `most` cannot be. `each` reads one.
  template <typename Entry, typename Each>
  void list(std::vector<Entry>& all, std::size_t most, Each each) {
    std::uint32_t count = 0;
    number(count);
    ok_ = ok_ && count <= most;
    for (std::uint32_t i = 0; i < count && ok_; ++i) {
      each(all.emplace_back());
    }
  }
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
