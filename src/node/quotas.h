// The quotas of a node: what each VM or client of a name is granted, whether it is there now or
// comes later. The minimums never add up to more than the node has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/views.h"
#include "policy/policy.h"

namespace fallow::node {

// Any thread.
class Quotas {
 public:
  static constexpr std::size_t kQuotasMax = 4096;
  enum class Origin { kFile, kCommand };
  struct Entry {
    QuotaRequest request{};
    policy::Quota quota{};
    bool from_file = false;  // the file has said something, whatever has been said since
  };

  explicit Quotas(std::uint64_t total_pages) : total_(total_pages) {}

  // What `change` says is set, the rest stays as it is. Errors: kInvalid; nothing is changed then.
  Status set(const std::string& name, const QuotaRequest& change, Origin origin);
  // Errors: kNotFound.
  Status clear(const std::string& name);
  // As it was: for whoever could not carry out what the change was for.
  void put_back(const std::string& name, const std::optional<Entry>& entry);

  [[nodiscard]] std::optional<Entry> find(const std::string& name) const;
  // The default one when nothing has been said.
  [[nodiscard]] policy::Quota of(const std::string& name) const;
  // By name.
  [[nodiscard]] std::map<std::string, Entry> list() const;

 private:
  [[nodiscard]] Status check_minimums(const std::string& name, std::uint64_t min) const;

  const std::uint64_t total_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // guarded by mutex_
};

}  // namespace fallow::node
