// Prometheus metrics of a node over HTTP, at /metrics. Every figure is read when it is asked for.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/node.h"

namespace fallow::node {

struct MetricsReading {
  NodeSnapshot snapshot;
  std::vector<VmLatency> latencies;
};

class MetricsServer {
 public:
  // `listen` is HOST:PORT; port 0 takes any free one. `read` is called on threads of the server's
  // own, until the server is gone.
  static Result<std::unique_ptr<MetricsServer>> start(const std::string& listen,
                                                      std::function<MetricsReading()> read);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  [[nodiscard]] int port() const;

 private:
  struct Impl;
  explicit MetricsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The same, as the text that /metrics answers with.
std::string metrics_text(const MetricsReading& reading);

}  // namespace fallow::node
