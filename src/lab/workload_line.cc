#include "lab/workload_line.h"

#include <map>

#include "base/text.h"

namespace fallow::lab {
namespace {

// Takes the next word off the front of `text`.
std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

std::optional<std::uint64_t> take_number(std::string_view& text) {
  const auto number = parse_count(take_word(text));
  return number ? std::optional(*number) : std::nullopt;
}

GuestLine other(std::string_view line) {
  return {LineKind::kOther, 0, 0, std::string(line)};
}

GuestLine parse_answer(std::string_view line) {
  std::string_view rest = line;
  const std::string_view word = take_word(rest);
  if (word == "ready") {
    return {LineKind::kReady, 0, 0, ""};
  }
  if (word == "ok" || word == "failed") {
    return {word == "ok" ? LineKind::kOk : LineKind::kFailed, 0, 0, std::string(rest)};
  }
  const auto code = word == "exited" ? take_number(rest) : std::nullopt;
  return code ? GuestLine{LineKind::kExited, *code, 0, ""} : other(line);
}

GuestLine parse_output(std::string_view line) {
  std::string_view rest = line;
  const std::string_view word = take_word(rest);
  if (word == "error") {
    return {LineKind::kError, 0, 0, std::string(rest)};
  }
  if (word == "done") {
    return {LineKind::kDone, 0, 0, std::string(rest)};
  }
  if (word == "phase") {
    const std::string name(take_word(rest));
    const auto milliseconds = take_number(rest);
    return milliseconds ? GuestLine{LineKind::kPhase, 0, *milliseconds, std::string(rest), name}
                        : other(line);
  }
  if (word != "attempt" && word != "step") {
    return other(line);
  }
  const auto bytes = take_number(rest);
  const auto milliseconds = word == "step" ? take_number(rest) : std::optional<std::uint64_t>(0);
  if (!bytes || !milliseconds) {
    return other(line);
  }
  const LineKind kind = word == "step" ? LineKind::kStep : LineKind::kAttempt;
  return {kind, *bytes, *milliseconds, std::string(rest)};
}

}  // namespace

GuestLine parse_guest_line(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) {
    line.remove_suffix(1);
  }
  if (line.starts_with("= ")) {
    return parse_answer(line.substr(2));
  }
  return line.starts_with("| ") ? parse_output(line.substr(2)) : other(line);
}

std::optional<GuestMemory> parse_guest_memory(std::string_view answer) {
  GuestMemory memory;
  const std::map<std::string_view, std::uint64_t*> fields = {
      {"pswpin", &memory.pages_in},
      {"pswpout", &memory.pages_out},
      {"total", &memory.total_bytes},
      {"available", &memory.available_bytes},
      {"swap_total", &memory.swap_total_bytes},
      {"swap_free", &memory.swap_free_bytes}};
  std::size_t found = 0;
  while (!answer.empty()) {
    const std::string_view word = take_word(answer);
    const std::size_t equals = std::min(word.find('='), word.size());
    const auto field = fields.find(word.substr(0, equals));
    const auto value = parse_count(word.substr(std::min(equals + 1, word.size())));
    if (field != fields.end() && value) {
      *field->second = *value;
      ++found;
    }
  }
  return found == fields.size() ? std::optional(memory) : std::nullopt;
}

}  // namespace fallow::lab
