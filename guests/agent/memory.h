// The guest's memory and swap, as the agent reports it and turns it on.
#pragma once

#include <string>

namespace fallow::guests {

// "pswpin=1 pswpout=2 total=3 available=4 swap_total=5 swap_free=6": pages swapped since boot, and
// bytes.
std::string memory_report();

// Puts a swap signature on the device and turns it on with discards, at activation and of freed
// clusters. Returns an error, or nothing.
std::string swap_on(const char* device);

}  // namespace fallow::guests
