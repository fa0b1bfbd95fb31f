#include "node/quota_rules.h"

#include <cmath>

#include "base/text.h"
#include "base/units.h"

namespace fallow::node {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr char kNoMaximum[] = "none";
constexpr std::uint64_t kMicroPercent = 1'000'000;
// The text is written down with its VM, where there is little room.
constexpr std::size_t kTextMax = 32;

Error bad_bound(const std::string& text, const std::string& besides) {
  return invalid(
      "'" + text.substr(0, 80) + "' must be a size in whole pages of " + std::to_string(kPageSize) +
      " bytes such as \"64M\", or a percentage of the node up to 100 such as \"10%\"" + besides);
}

// "10%", of `total`.
Result<std::uint64_t> parse_part(const std::string& text, std::uint64_t total,
                                 const std::string& besides) {
  const Result<double> percent = parse_number(text.substr(0, text.size() - 1));
  if (!percent || !(*percent >= 0) || *percent > 100) {
    return bad_bound(text, besides);
  }
  const auto micro = static_cast<std::uint64_t>(std::llround(*percent * kMicroPercent));
  return static_cast<std::uint64_t>(Wide{total} * micro / (100 * kMicroPercent));
}

Result<std::uint64_t> parse_bound(const std::string& text, std::uint64_t total,
                                  const std::string& besides) {
  if (text.size() > kTextMax) {
    return bad_bound(text, besides);
  }
  if (text.ends_with('%')) {
    return parse_part(text, total, besides);
  }
  const Result<std::uint64_t> bytes = parse_size(text);
  if (!bytes || *bytes % kPageSize != 0) {
    return bad_bound(text, besides);
  }
  return *bytes / kPageSize;
}

Result<std::uint64_t> parse_min(const std::string& text, std::uint64_t total) {
  return parse_bound(text, total, "");
}

Result<std::uint64_t> parse_max(const std::string& text, std::uint64_t total) {
  if (text == kNoMaximum) {
    return policy::Quota::kNoMax;
  }
  return parse_bound(text, total, ", or \"none\"");
}

}  // namespace

Result<std::string> parse_quota_min(const std::string& text) {
  FALLOW_TRY(parse_min(text, 0));
  return text;
}

Result<std::string> parse_quota_max(const std::string& text) {
  FALLOW_TRY(parse_max(text, 0));
  return text;
}

Result<std::uint32_t> parse_quota_weight(const std::string& text) {
  const Result<std::uint64_t> weight = parse_count(text);
  if (!weight || *weight == 0 || *weight > policy::Quota::kWeightMax) {
    return invalid("'" + text.substr(0, 80) + "' must be a whole number from 1 to " +
                   std::to_string(policy::Quota::kWeightMax) + "; " +
                   std::to_string(policy::Quota::kWeightDefault) + " is what others have");
  }
  return static_cast<std::uint32_t>(*weight);
}

Status check_quota_request(const QuotaRequest& request) {
  if (!request.min.empty()) {
    if (const auto min = parse_quota_min(request.min); !min) {
      return invalid("min: " + min.error().text);
    }
  }
  if (!request.max.empty()) {
    if (const auto max = parse_quota_max(request.max); !max) {
      return invalid("max: " + max.error().text);
    }
  }
  if (request.weight != 0) {
    if (const auto weight = parse_quota_weight(std::to_string(request.weight)); !weight) {
      return invalid("weight: " + weight.error().text);
    }
  }
  return {};
}

Result<policy::Quota> quota_of(const QuotaRequest& request, std::uint64_t total) {
  FALLOW_TRY(check_quota_request(request));
  policy::Quota quota;
  if (!request.min.empty()) {
    quota.min = *parse_min(request.min, total);
  }
  if (!request.max.empty()) {
    quota.max = *parse_max(request.max, total);
  }
  if (request.weight != 0) {
    quota.weight = request.weight;
  }
  if (quota.min > quota.max) {
    return invalid("the minimum of " + format_pages(quota.min) + " is more than the maximum of " +
                   format_pages(quota.max) + ": lower it, or raise the maximum");
  }
  return quota;
}

QuotaRequest merged(const QuotaRequest& base, const QuotaRequest& change) {
  return {.min = change.min.empty() ? base.min : change.min,
          .max = change.max.empty() ? base.max : change.max,
          .weight = change.weight == 0 ? base.weight : change.weight};
}

bool says_nothing(const QuotaRequest& request) {
  return request == QuotaRequest{};
}

}  // namespace fallow::node
