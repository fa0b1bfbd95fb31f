// Asks a daemon over its control socket: one method for each call of the control service, plain
// structs in and out. Safe for many threads. A daemon that does not answer is kUnreachable; when
// that happens to a call that changes something, the change may still have happened.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/recording_source.h"
#include "node/views.h"

namespace fallow::node {

inline constexpr char kDefaultControlSocket[] = "/run/fallow/control.sock";

class ControlClient {
 public:
  // Does not connect yet: the first call does. `deadline_ms` bounds each call.
  explicit ControlClient(const std::string& socket_path, std::uint32_t deadline_ms = 10'000);
  ~ControlClient();
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;

  [[nodiscard]] Result<NodeView> status() const;

  [[nodiscard]] Result<VmView> add_vm(const VmRequest& request) const;
  // The node and all VMs at one moment: what a live view polls.
  [[nodiscard]] Result<NodeSnapshot> list_vms() const;
  [[nodiscard]] Result<VmView> show_vm(const std::string& name) const;
  [[nodiscard]] Status remove_vm(const std::string& name, RemoveMode mode) const;
  [[nodiscard]] Result<VmView> resize_vm(const std::string& name, std::uint64_t size_bytes) const;
  [[nodiscard]] Result<Explanation> explain_vm(const std::string& name) const;

  [[nodiscard]] Result<QuotaView> set_quota(const std::string& name,
                                            const QuotaRequest& change) const;
  [[nodiscard]] Status clear_quota(const std::string& name) const;
  [[nodiscard]] Result<std::vector<QuotaView>> list_quotas() const;

  // Records until `stopped()`, which is asked some times a second, and never amid a block: each
  // part goes to `take`, a large one piece by piece; an error of it ends the recording. The blocks
  // behind each other are a recording's file, but for its end.
  [[nodiscard]] Status record(const std::function<bool()>& stopped,
                              const std::function<Status(const RecordedPart&)>& take) const;

  [[nodiscard]] Result<CurrentPolicy> show_policy() const;
  [[nodiscard]] Result<std::vector<PolicyView>> list_policies() const;
  [[nodiscard]] Result<PolicySwitch> set_policy(const std::string& spec) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::node
