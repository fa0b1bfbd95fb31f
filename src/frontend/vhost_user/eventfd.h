// Eventfds that a front end brings: how rings notify and are notified.
#pragma once

#include "base/file.h"
#include "base/result.h"

namespace fallow::vhost_user {

// Takes a descriptor only if it is an eventfd: reads and writes of anything else might block.
Result<UniqueFd> adopt_eventfd(UniqueFd fd);

// Empties an eventfd. Never blocks, even if the peer has made the descriptor blocking.
void drain_eventfd(int fd);

// A full counter means that the peer has not read the last notification yet.
void signal_eventfd(int fd);

}  // namespace fallow::vhost_user
