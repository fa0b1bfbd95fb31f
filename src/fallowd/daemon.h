// The life of one daemon: from a valid configuration to a signal.
#pragma once

#include "base/result.h"
#include "node/config.h"

namespace fallow {

// Serves until SIGTERM or SIGINT. Call it while the process has one thread: the signals are blocked
// for it and for all that it starts.
Status run_daemon(const node::Config& config);

}  // namespace fallow
