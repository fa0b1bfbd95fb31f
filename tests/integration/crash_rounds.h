// How often the crash tests kill their daemon, and what it is like.
#pragma once

#include <cstdlib>

#include "integration/program.h"

namespace fallow::test {

inline unsigned rounds() {
  const char* text = std::getenv("FALLOW_CRASH_ROUNDS");
  return text == nullptr ? 12 : static_cast<unsigned>(std::atoi(text));
}

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
