#include "lab/run_record.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace fallow::lab {
namespace {

using Json = nlohmann::json;

}  // namespace

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RunKey, scenario, guest, policy, backing, scale, seed,
                                   repetition, data, fingerprint)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WorkloadRecord, workload, start_s, seconds, stopped, checksum)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StepRecord, at_s, bytes, milliseconds)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(VmRecord, name, running_s, runs, steps, figures)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FramesRecord, at_s, used, target)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RunRecord, key, conditions, frames_total, seconds, vms, frames)

double total_running_s(const RunRecord& record) {
  double sum = 0;
  for (const VmRecord& vm : record.vms) {
    sum += vm.running_s;
  }
  return sum;
}

std::string to_json_line(const RunRecord& record) {
  return Json(record).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<RunRecord> parse_run_record(std::string_view line) {
  try {
    return Json::parse(line).get<RunRecord>();
  } catch (const Json::exception& error) {
    return invalid(std::string("not a record of a run: ") + error.what());
  }
}

Result<std::vector<RunRecord>> read_run_records(const std::string& path) {
  std::vector<RunRecord> records;
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  unsigned number = 0;
  for (std::size_t at = 0, end = 0; (end = all.find('\n', at)) != std::string::npos; at = end + 1) {
    ++number;
    Result<RunRecord> record = parse_run_record(std::string_view(all).substr(at, end - at));
    if (!record) {
      return invalid(path + ":" + std::to_string(number) + ": " + record.error().text);
    }
    records.push_back(*std::move(record));
  }
  return records;
}

Status append_run_record(const std::string& path, const RunRecord& record) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > 0) {
    // The rest of a line that was being written goes.
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    const std::size_t end = text.str().rfind('\n');
    const std::size_t whole = end == std::string::npos ? 0 : end + 1;
    if (whole != size) {
      std::filesystem::resize_file(path, whole, error);
    }
  }
  std::ofstream file(path, std::ios::binary | std::ios::app);
  file << to_json_line(record);
  file.close();
  return file ? Status() : failed("cannot write " + path);
}

}  // namespace fallow::lab
