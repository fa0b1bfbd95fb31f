// `fallow policy eval`: one run of a policy on statistics given as JSON, without a daemon.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/policy.h"

namespace fallow::cli {

inline constexpr std::size_t kEvaluationBytesMax = std::size_t{16} << 20;

// {"node":{"total":1000},"vms":[{"id":"a","target":500,"used":500,"puts_total":100,"puts_succ":80,
// "cumul_puts_failed":20,"min":100,"max":600,"weight":200}, ...]}: pages, and counters of one
// interval, but for cumul_. cumul_puts_failed may be left out, it is 0 then, and so may min, max
// and weight. Unknown keys are errors, so that a mistyped one is not taken for 0.
Result<policy::NodeStatistics> parse_statistics(std::string_view json);

// The decisions as {"vms":[{"id":"a","target":514,"reason":"..."}, ...]}, one line, ended.
Result<std::string> evaluate(std::string_view spec, std::string_view json);

}  // namespace fallow::cli
