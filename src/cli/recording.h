// `fallow record`: a daemon's operations into a file, until it is interrupted.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/commands.h"
#include "node/record_file.h"

namespace fallow::cli {

// For standard error: a line for each thing that the recording lacks.
std::string record_warnings(const node::RecordedFigures& figures);

// What was recorded, for standard output. Warnings go to `streams.err`.
Result<std::string> record(const Command& command, const Streams& streams);

}  // namespace fallow::cli
