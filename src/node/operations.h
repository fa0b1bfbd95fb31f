// What can be asked of a node: the control service calls it, and a test puts a fake behind the
// service. Every method may be called from any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/recording_source.h"
#include "node/views.h"

namespace fallow::node {

class Operations {
 public:
  virtual ~Operations() = default;

  [[nodiscard]] virtual NodeView status() const = 0;
  // By name, with the node's figures of the same moment.
  [[nodiscard]] virtual NodeSnapshot list_vms() const = 0;
  [[nodiscard]] virtual Result<VmView> show_vm(const std::string& name) const = 0;
  // Of a VM, or of a client that came over a ring.
  [[nodiscard]] virtual Result<Explanation> explain_vm(const std::string& name) const = 0;
  // Nothing is changed when it fails.
  [[nodiscard]] virtual Result<VmView> add_vm(const VmRequest& request) = 0;
  [[nodiscard]] virtual Status remove_vm(const std::string& name, RemoveMode mode) = 0;
  [[nodiscard]] virtual Result<VmView> resize_vm(const std::string& name,
                                                 std::uint64_t size_bytes) = 0;

  // What is said of the name is changed, the rest stays; a VM or client of that name need not be
  // there yet.
  [[nodiscard]] virtual Result<QuotaView> set_quota(const std::string& name,
                                                    const QuotaRequest& change) = 0;
  [[nodiscard]] virtual Status clear_quota(const std::string& name) = 0;
  // By name.
  [[nodiscard]] virtual std::vector<QuotaView> list_quotas() const = 0;

  // From now on, for as long as what is returned lives. Errors: kExists when one is under way.
  [[nodiscard]] virtual Result<std::unique_ptr<RecordingSource>> record() {
    return failed("this node does not record");
  }

  [[nodiscard]] virtual CurrentPolicy show_policy() const = 0;
  [[nodiscard]] virtual std::vector<PolicyView> list_policies() const = 0;
  [[nodiscard]] virtual Result<PolicySwitch> set_policy(const std::string& spec) = 0;
};

}  // namespace fallow::node
