#include "lab/run_record.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "lab/paths.h"

namespace fallow::lab {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kFileBytesMax = std::size_t{1} << 30;

// The rest of a line that was being written goes. Nearly always there is none.
Status drop_half_line(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(-1, std::ios::end);
  if (!file || file.get() == '\n') {
    return {};
  }
  const Result<std::string> text = read_text_file(path, kFileBytesMax);
  FALLOW_TRY(text);
  const std::size_t end = text->rfind('\n');
  std::error_code error;
  std::filesystem::resize_file(path, end == std::string::npos ? 0 : end + 1, error);
  return error ? failed_errno("cannot cut " + path + " short", error.value()) : Status();
}

// What is reckoned with: a run has VMs, and each sample of frames is of all of them.
Status check(const RunRecord& record) {
  if (record.vms.empty()) {
    return invalid("not a record of a run: it has no VMs");
  }
  for (const FramesRecord& frames : record.frames) {
    if (frames.used.size() != record.vms.size() || frames.target.size() != record.vms.size()) {
      return invalid("not a record of a run: a sample of frames is not of its " +
                     std::to_string(record.vms.size()) + " VMs");
    }
  }
  return {};
}

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
    RunRecord record = Json::parse(line).get<RunRecord>();
    FALLOW_TRY(check(record));
    return record;
  } catch (const Json::exception& error) {
    return invalid(std::string("not a record of a run: ") + error.what());
  }
}

Result<std::vector<RunRecord>> read_run_records(const std::string& path) {
  std::vector<RunRecord> records;
  const auto there = is_there(path);
  FALLOW_TRY(there);
  if (!*there) {
    return records;
  }
  const Result<std::string> all = read_text_file(path, kFileBytesMax);
  FALLOW_TRY(all);
  unsigned number = 0;
  for (std::size_t at = 0, end = 0; (end = all->find('\n', at)) != std::string::npos;
       at = end + 1) {
    ++number;
    Result<RunRecord> record = parse_run_record(std::string_view(*all).substr(at, end - at));
    if (!record) {
      return invalid(path + ":" + std::to_string(number) + ": " + record.error().text);
    }
    records.push_back(*std::move(record));
  }
  return records;
}

Status append_run_record(const std::string& path, const RunRecord& record) {
  const auto there = is_there(path);
  FALLOW_TRY(there);
  if (*there) {
    FALLOW_TRY(drop_half_line(path));
  }
  std::ofstream file(path, std::ios::binary | std::ios::app);
  file << to_json_line(record);
  file.close();
  return file ? Status() : failed("cannot write " + path);
}

}  // namespace fallow::lab
