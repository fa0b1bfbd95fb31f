// `fallow record`: a daemon's operations into a file, until it is interrupted.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/commands.h"

namespace fallow::cli {

// What was recorded, for standard output. A warning on `streams.err` when something is missing.
Result<std::string> record(const Command& command, const Streams& streams);

}  // namespace fallow::cli
