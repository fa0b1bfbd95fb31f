// `fallow run`: a program, and all that it starts, with its large anonymous memory paged.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "base/result.h"
#include "pager/pager.h"

namespace fallow::run {

struct RunOptions {
  std::vector<std::string> program;  // with its arguments
  pager::PagerOptions pager;         // a store without a name gets the program's
};

struct RunOutcome {
  int exit_code = 0;  // the program's; 128 + signal when it was killed
  std::uint64_t processes = 0;
  pager::PagerStatistics statistics;
};

// Returns when the program and all processes that it has left behind have ended. Signals that ask
// this process to end are passed on. For the main thread, once in a process.
// Errors: kInvalid for a program that is not there or that cannot be paged at all.
Result<RunOutcome> run_program(const RunOptions& options);

}  // namespace fallow::run
