#include "fallowd/service_manager.h"

#include <systemd/sd-daemon.h>

namespace fallow {

void notify_ready() {
  ::sd_notify(0, "READY=1");
}

void notify_stopping() {
  ::sd_notify(0, "STOPPING=1");
}

void notify_alive() {
  ::sd_notify(0, "WATCHDOG=1");
}

std::uint64_t watchdog_period_ns() {
  std::uint64_t limit_us = 0;
  if (::sd_watchdog_enabled(0, &limit_us) <= 0) {
    return 0;
  }
  // Half of the limit, as sd_watchdog_enabled(3) advises.
  return limit_us * 1000 / 2;
}

}  // namespace fallow
