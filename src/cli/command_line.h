// What the operator asked for: the words of the command line, checked as far as they can be without
// asking anybody.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/views.h"
#include "run/run_program.h"
#include "vmm_pager/service.h"

namespace fallow::cli {

enum class Action {
  kPrint,  // help or version: `text` to standard output, done
  kStatus,
  kVmAdd,
  kVmList,
  kVmShow,
  kVmRemove,
  kVmResize,
  kClientList,
  kQuotaSet,
  kQuotaClear,
  kQuotaList,
  kPolicyShow,
  kPolicyList,
  kPolicySet,
  kPolicyEval,
  kExplain,
  kConfigCheck,
  kWatch,
  kRun,
  kPager,
  kRecord,
};

enum class Form { kHuman, kJson };

struct Command {
  Action action = Action::kPrint;
  Form form = Form::kHuman;
  std::string socket_path{};
  std::string text{};           // kPrint
  std::string name{};           // of a VM, or of a client
  std::string spec{};           // of a policy
  std::string file{};           // of a configuration, or a recording
  std::uint64_t record_ns = 0;  // kRecord: for so long; 0: until it is interrupted
  node::VmRequest vm{};         // kVmAdd
  node::QuotaRequest quota{};   // kQuotaSet
  vmm_pager::ServiceOptions pager{};
  node::RemoveMode remove_mode = node::RemoveMode::kIfIdle;
  std::uint64_t watch_count = 0;        // 0: without end
  std::uint64_t watch_interval_ns = 0;  // 0: the node's
  run::RunOptions run{};                // kRun
  bool report = false;                  // kRun: figures at the end
};

// `words` without the program's name. Errors are kInvalid, one line.
Result<Command> parse_command_line(const std::vector<std::string>& words);

}  // namespace fallow::cli
