#include "common/number_lines.h"

#include <strings.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace fallow::guests {
namespace {

constexpr std::size_t kLineBytesMax = 200;
constexpr std::size_t kShownBytesMax = 40;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

enum class Read { kLine, kEnd, kTooLong };

// getline() would take a file without line ends into memory whole.
class Lines {
 public:
  explicit Lines(std::FILE* file) : file_(file) {}

  Read next(std::string_view& line) {
    std::size_t size = 0;
    int byte = 0;
    while ((byte = getc_unlocked(file_)) != EOF && byte != '\n') {
      if (size == buffer_.size()) {
        return Read::kTooLong;
      }
      buffer_[size++] = static_cast<char>(byte);
    }
    if (byte == EOF && size == 0) {
      return Read::kEnd;
    }
    ++number_;
    line = std::string_view(buffer_.data(), size);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    return Read::kLine;
  }

  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  std::FILE* file_;
  std::array<char, kLineBytesMax> buffer_{};
  std::uint64_t number_ = 0;
};

// For a terminal: garbage must not reach it as it is.
std::string shown(std::string_view line) {
  std::string text(line.substr(0, kShownBytesMax));
  for (char& byte : text) {
    byte = byte < ' ' || byte > '~' ? '?' : byte;
  }
  return "'" + text + (line.size() > kShownBytesMax ? "...'" : "'");
}

// As many as there are, but at most one more than `most`.
std::size_t split(std::string_view line, std::vector<std::string_view>& fields, std::size_t most) {
  fields.clear();
  while (fields.size() <= most) {
    const std::size_t comma = line.find(',');
    fields.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) {
      break;
    }
    line.remove_prefix(comma + 1);
  }
  return fields.size();
}

bool same_letters(std::string_view line, std::string_view header) {
  return line.size() == header.size() &&
         strncasecmp(line.data(), header.data(), header.size()) == 0;
}

std::string read_rows(Lines& lines, const LineForm& form, const TakeFields& take) {
  std::vector<std::string_view> fields;
  std::string_view line;
  Read read = Read::kEnd;
  std::uint64_t rows = 0;
  while ((read = lines.next(line)) == Read::kLine) {
    const std::string where = "line " + std::to_string(lines.number()) + ": ";
    if (lines.number() == 1 && !form.header.empty()) {
      if (!same_letters(line, form.header)) {
        return where + shown(line) + " is not the header " + form.header;
      }
      continue;
    }
    if (rows++ == form.rows_max) {
      return where + "more than " + std::to_string(form.rows_max) +
             " rows do not fit: raise --megabytes";
    }
    if (split(line, fields, form.fields) != form.fields || !take(fields)) {
      return where + shown(line) + " is not " + form.wants;
    }
  }
  if (read == Read::kTooLong) {
    return "line " + std::to_string(lines.number() + 1) + ": longer than " +
           std::to_string(kLineBytesMax) + " bytes, so it is not " + form.wants;
  }
  return rows == 0 ? "no rows in it: a row is " + form.wants : "";
}

}  // namespace

std::string read_number_lines(const std::string& path, const LineForm& form,
                              const TakeFields& take) {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "re"));
  if (file == nullptr) {
    return path + ": " + std::strerror(errno);
  }
  Lines lines(file.get());
  const std::string error = read_rows(lines, form, take);
  if (std::ferror(file.get()) != 0) {
    return path + ": cannot be read: " + std::strerror(errno);
  }
  return error.empty() ? "" : path + ": " + error;
}

}  // namespace fallow::guests
