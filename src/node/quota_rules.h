// What a quota may say: the same rules for the configuration, the command line and the daemon.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "node/views.h"
#include "policy/policy.h"

namespace fallow::node {

// Each checks its text and gives it back.
Result<std::string> parse_quota_min(const std::string& text);
Result<std::string> parse_quota_max(const std::string& text);
Result<std::uint32_t> parse_quota_weight(const std::string& text);

// As it stands, whatever the node has.
Status check_quota_request(const QuotaRequest& request);
// In pages of a node that has `total`; a percentage is rounded down. kInvalid, too, when the
// minimum is more than the maximum.
Result<policy::Quota> quota_of(const QuotaRequest& request, std::uint64_t total);
// `base`, but for what `change` says.
QuotaRequest merged(const QuotaRequest& base, const QuotaRequest& change);
bool says_nothing(const QuotaRequest& request);

}  // namespace fallow::node
