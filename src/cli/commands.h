// Carries out what was asked.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command_line.h"

namespace fallow::cli {

// 0 done, 1 failed, 2 wrong use or input, 3 daemon not reachable.
int exit_code_of(const Error& error);

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool terminal = false;  // `out` is one: watch may repaint it
};

// Returns the exit code; errors are one line on `err`.
int run(const Command& command, const Streams& streams);
int run(const std::vector<std::string>& words, const Streams& streams);

}  // namespace fallow::cli
