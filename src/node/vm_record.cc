#include "node/vm_record.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "node/quota_rules.h"
#include "node/vm_rules.h"

namespace fallow::node {

std::string describe(const VmRecord& record) {
  nlohmann::json json{{"name", record.request.name},
                      {"size", record.request.size_bytes},
                      {"backing", record.request.backing_path},
                      {"discard_backing", record.request.discard_backing},
                      {"compress", compression_name(record.request.compression)},
                      {"block_size", record.block_size},
                      {"identity", record.identity.words}};
  if (const QuotaRequest& quota = record.request.quota; !says_nothing(quota)) {
    json["min"] = quota.min;
    json["max"] = quota.max;
    json["weight"] = quota.weight;
  }
  return json.dump();
}

Result<VmRecord> read_vm_record(const std::string& description) {
  const auto json = nlohmann::json::parse(description, nullptr, false);
  VmRecord record;
  std::string compress;
  try {
    record.request.name = json.at("name").get<std::string>();
    record.request.size_bytes = json.at("size").get<std::uint64_t>();
    record.request.backing_path = json.at("backing").get<std::string>();
    record.request.discard_backing = json.at("discard_backing").get<bool>();
    compress = json.at("compress").get<std::string>();
    // Not there when nothing was said of them.
    record.request.quota.min = json.value("min", "");
    record.request.quota.max = json.value("max", "");
    record.request.quota.weight = json.value("weight", std::uint32_t{0});
    record.block_size = json.at("block_size").get<std::uint32_t>();
    const auto identity = json.at("identity").get<std::array<std::uint64_t, 2>>();
    std::copy(identity.begin(), identity.end(), record.identity.words);
  } catch (const nlohmann::json::exception& error) {
    return failed(std::string("the map of the disk does not describe its VM: ") + error.what());
  }
  const auto compression = parse_compression(compress);
  if (!compression) {
    return failed("the map of the disk does not describe its VM: " + compression.error().text);
  }
  record.request.compression = *compression;
  FALLOW_TRY(check_vm_request(record.request));
  return record;
}

}  // namespace fallow::node
