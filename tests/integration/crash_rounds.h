// How often the crash tests kill their daemon, and what it is like.
#pragma once

#include <cstdlib>

#include "integration/program.h"

namespace fallow::test {

inline unsigned rounds() {
  const char* text = std::getenv("FALLOW_CRASH_ROUNDS");
  return text == nullptr ? 12 : static_cast<unsigned>(std::atoi(text));
}

// For the daemon to be back. A host that writes much to its disks may keep a killed process for a
// minute, until its last write is through.
inline constexpr int kPatienceMs = 240'000;

// Half of the disk's pages fit into memory; demotion moves pages all the while.
inline Daemon::Options small_memory() {
  Daemon::Options options;
  options.memory = "16M";
  options.policy = "smart-alloc:P=50,threshold=0";
  options.interval = "10ms";
  options.extra_device = "demotion = \"20000\"";
  return options;
}

}  // namespace fallow::test
