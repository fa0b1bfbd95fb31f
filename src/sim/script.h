// A recording made ready to be replayed: each client's operations by themselves, pages by number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/miss_ratio_curve.h"
#include "policy/policy.h"
#include "recording/operations.h"

namespace fallow::sim {

enum class EventKind : std::uint8_t {
  kPut,
  kPutWithoutFrame,
  kGet,         // of a page that was there
  kGetMissing,  // of one that was not
  kFlush,
  kFlushGroup,
  kGone,
  kMark,
};

struct Event {
  std::uint64_t at_ns = 0;
  std::uint32_t what = 0;  // a page, a group of pages (of kGone, too), or a mark, by number
  EventKind kind = EventKind::kPut;
};

// What was known of a client from a moment on.
struct Knowledge {
  std::uint64_t at_ns = 0;
  std::uint64_t ram_pages = 0;  // 0: it did not say
  policy::Quota quota{};
  std::size_t curve = kNoCurve;  // of Script::curves
  static constexpr std::size_t kNoCurve = ~std::size_t{0};
};

struct ScriptClient {
  std::string name{};  // as check_name() has them
  bool is_disk = false;
  std::uint64_t comes_ns = 0;
  std::vector<Event> events{};
  std::vector<std::uint32_t> places{};               // by page: its number in a disk
  std::vector<std::vector<std::uint32_t>> groups{};  // pages that go together
  std::vector<Knowledge> known{};
  std::uint64_t ram_pages = 0;  // the most that it ever said
  // It was stopped, at `stop` of Script::marks, and goes on until then: from the event `again` on
  // once more, when it was at work to the end.
  static constexpr std::uint32_t kNoStop = ~std::uint32_t{0};
  std::uint32_t stop = kNoStop;
  static constexpr std::size_t kNotAgain = ~std::size_t{0};
  std::size_t again = kNotAgain;
};

struct ScriptMark {
  recording::MarkKind kind{};
  std::size_t client = 0;
  std::vector<std::uint32_t> after{};  // numbers
  std::uint64_t delay_ns = 0;
};

struct Script {
  std::uint64_t frames = 0;  // of the node that was recorded
  std::uint64_t interval_ns = 0;
  std::vector<ScriptClient> clients{};
  std::vector<ScriptMark> marks{};
  std::vector<policy::MissRatioCurve> curves{};
  // Warnings, for people: what the recording lacks.
  std::vector<std::string> doubts{};
};

// kInvalid when nothing can be replayed, or a time or a mark cannot be.
Result<Script> make_script(const recording::Recording& recording);

}  // namespace fallow::sim
