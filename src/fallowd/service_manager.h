// What systemd is told, when it is there to be told: nothing happens without it.
#pragma once

#include <cstdint>

namespace fallow {

void notify_ready();
void notify_stopping();
void notify_alive();

// How often notify_alive() must be called at the least; 0: never.
std::uint64_t watchdog_period_ns();

}  // namespace fallow
