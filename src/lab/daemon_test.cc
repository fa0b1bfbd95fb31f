#include "lab/daemon.h"

#include <gtest/gtest.h>

#include "node/config.h"

namespace fallow::lab {
namespace {

TEST(DaemonConfig, IsOneThatTheDaemonTakes) {
  const DaemonSettings settings{.program = "fallowd",
                                .memory_bytes = 96 << 20,
                                .interval_ms = 250,
                                .demotion = "500",
                                .first_policy = "greedy"};
  const auto reading = node::read_config(daemon_config(settings, "/run/x", "/dev/shm/x", "/var/x"));
  for (const TomlError& error : reading.errors) {
    ADD_FAILURE() << error.line << ": " << error.text;
  }
  EXPECT_EQ(reading.config.memory_bytes, 96U << 20);
  EXPECT_EQ(reading.config.interval_ns, 250'000'000U);
  EXPECT_EQ(reading.config.demotion_pages_per_second, 500U);
  EXPECT_EQ(reading.config.policy_spec, "greedy");
  EXPECT_EQ(reading.config.control_socket, "/run/x/control.sock");
}

}  // namespace
}  // namespace fallow::lab
