#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cctype>
#include <cstdio>

namespace fallow {
namespace {

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = std::make_shared<spdlog::logger>("fallow",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("time=%Y-%m-%dT%H:%M:%S.%e%z level=%l %v");
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

void append_value(std::string_view value, std::string* line) {
  const auto plain = [](unsigned char c) { return std::isgraph(c) != 0 && c != '"' && c != '\\'; };
  bool quote = value.empty();
  for (const char c : value) {
    quote = quote || !plain(static_cast<unsigned char>(c));
  }
  if (!quote) {
    line->append(value);
    return;
  }
  line->push_back('"');
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ' || plain(byte) || byte >= 0x80) {
      line->push_back(c);
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
      line->append(escaped);
    }
  }
  line->push_back('"');
}

}  // namespace

void set_log_level(LogLevel level) {
  logger().set_level(to_spdlog(level));
}

std::string format_log_line(std::string_view event, LogFields fields) {
  std::string line = "event=";
  append_value(event, &line);
  for (const LogField& field : fields) {
    line.push_back(' ');
    line.append(field.key());
    line.push_back('=');
    append_value(field.value(), &line);
  }
  return line;
}

void log(LogLevel level, std::string_view event, LogFields fields) {
  if (logger().should_log(to_spdlog(level))) {
    logger().log(to_spdlog(level), "{}", format_log_line(event, fields));
  }
}

}  // namespace fallow
