// Structured logs: an event and its fields, one line each, `level event key=value ...` on standard
// error. Any thread.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace fallow {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

class LogField {
 public:
  LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  LogField(std::string_view key, const char* value) : key_(key), value_(value) {}
  LogField(std::string_view key, const std::string& value) : key_(key), value_(value) {}
  template <typename Number>
  requires std::is_arithmetic_v<Number> LogField(std::string_view key, Number value)
      : key_(key), value_(std::to_string(value)) {}

  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] const std::string& value() const { return value_; }

 private:
  std::string_view key_;
  std::string value_;
};

using LogFields = std::initializer_list<LogField>;

void set_log_level(LogLevel level);
void log(LogLevel level, std::string_view event, LogFields fields);

inline void log_debug(std::string_view event, LogFields fields = {}) {
  log(LogLevel::kDebug, event, fields);
}
inline void log_info(std::string_view event, LogFields fields = {}) {
  log(LogLevel::kInfo, event, fields);
}
inline void log_warning(std::string_view event, LogFields fields = {}) {
  log(LogLevel::kWarning, event, fields);
}
inline void log_error(std::string_view event, LogFields fields = {}) {
  log(LogLevel::kError, event, fields);
}

// The line as it is written, without time and level: values with blanks, quotes or control
// characters are quoted and escaped, so that a guest's or client's text cannot forge a line.
std::string format_log_line(std::string_view event, LogFields fields);

}  // namespace fallow
