#include "cli/commands.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <istream>
#include <ostream>
#include <thread>

#include "base/text.h"
#include "cli/evaluation.h"
#include "cli/json_output.h"
#include "cli/recording.h"
#include "cli/render.h"
#include "node/config.h"
#include "node/control_client.h"
#include "policy/policy.h"

namespace fallow::cli {
namespace {

using node::ControlClient;

Result<std::string> read_all(std::istream& in, std::size_t size_max) {
  std::string text;
  char buffer[16384];
  while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
    text.append(buffer, static_cast<std::size_t>(in.gcount()));
    if (text.size() > size_max) {
      return invalid("standard input is larger than " + std::to_string(size_max) + " bytes");
    }
  }
  return text;
}

// An answer in the form that was asked for.
template <typename View>
Result<std::string> answer(const Result<View>& view, Form form) {
  FALLOW_TRY(view);
  return form == Form::kJson ? to_json(*view) : render(*view);
}

Result<std::string> add_vm(const ControlClient& client, const Command& command) {
  const Result<node::VmView> vm = client.add_vm(command.vm);
  FALLOW_TRY(vm);
  if (command.form == Form::kJson) {
    return to_json(*vm);
  }
  return "added " + vm->name + ": connect its vhost-user-blk disk to " + vm->socket_path + "\n";
}

Result<std::string> list_vms(const ControlClient& client, const Command& command) {
  const Result<node::NodeSnapshot> snapshot = client.list_vms();
  FALLOW_TRY(snapshot);
  return command.form == Form::kJson ? to_json(*snapshot) : render(snapshot->vms);
}

Result<std::string> list_clients(const ControlClient& client, const Command& command) {
  const Result<node::NodeSnapshot> snapshot = client.list_vms();
  FALLOW_TRY(snapshot);
  return command.form == Form::kJson ? to_json(snapshot->clients) : render(snapshot->clients);
}

Result<std::string> resize_vm(const ControlClient& client, const Command& command) {
  const Result<node::VmView> vm = client.resize_vm(command.name, command.vm.size_bytes);
  FALLOW_TRY(vm);
  return command.form == Form::kJson
             ? to_json(*vm)
             : "the disk of " + vm->name + " has " + format_size(vm->size_bytes) + " now\n";
}

Result<std::string> remove_vm(const ControlClient& client, const Command& command) {
  FALLOW_TRY(client.remove_vm(command.name, command.remove_mode));
  return command.form == Form::kJson ? removed_to_json(command.name)
                                     : "removed " + command.name + "\n";
}

Result<std::string> set_quota(const ControlClient& client, const Command& command) {
  const Result<node::QuotaView> quota = client.set_quota(command.name, command.quota);
  FALLOW_TRY(quota);
  return command.form == Form::kJson ? to_json(*quota) : render(std::vector{*quota});
}

Result<std::string> clear_quota(const ControlClient& client, const Command& command) {
  FALLOW_TRY(client.clear_quota(command.name));
  return command.form == Form::kJson ? cleared_to_json(command.name)
                                     : "cleared the quota of " + command.name + "\n";
}

Result<std::string> set_policy(const ControlClient& client, const Command& command) {
  const Result<node::PolicySwitch> done = client.set_policy(command.spec);
  FALLOW_TRY(done);
  return command.form == Form::kJson
             ? to_json(*done)
             : done->spec + " in force, in place of " + done->previous + "\n";
}

Result<std::string> eval_policy(const Command& command, const Streams& streams) {
  const Result<std::string> json = read_all(streams.in, kEvaluationBytesMax);
  FALLOW_TRY(json);
  return evaluate(command.spec, *json);
}

// The policies are pure functions, the same here as in the daemon: none needs to run.
Result<std::string> list_policies(const Command& command) {
  std::vector<node::PolicyView> policies;
  for (const policy::PolicyDescription& policy : policy::known_policies()) {
    policies.push_back({policy.name, policy.summary, policy.settings});
  }
  return answer(Result(policies), command.form);
}

Result<std::string> ask(const Command& command) {
  const ControlClient client(command.socket_path);
  switch (command.action) {
    case Action::kStatus:
      return answer(client.status(), command.form);
    case Action::kVmAdd:
      return add_vm(client, command);
    case Action::kVmList:
      return list_vms(client, command);
    case Action::kVmShow:
      return answer(client.show_vm(command.name), command.form);
    case Action::kVmRemove:
      return remove_vm(client, command);
    case Action::kVmResize:
      return resize_vm(client, command);
    case Action::kClientList:
      return list_clients(client, command);
    case Action::kQuotaSet:
      return set_quota(client, command);
    case Action::kQuotaClear:
      return clear_quota(client, command);
    case Action::kQuotaList:
      return answer(client.list_quotas(), command.form);
    case Action::kPolicyShow:
      return answer(client.show_policy(), command.form);
    case Action::kPolicySet:
      return set_policy(client, command);
    default:
      return answer(client.explain_vm(command.name), command.form);
  }
}

// One line whatever words it quotes.
int fail(const Error& error, const Streams& streams) {
  std::string text = error.text;
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, '?');
  streams.err << "fallow: " << text << "\n";
  return exit_code_of(error);
}

int print(const Result<std::string>& text, const Streams& streams) {
  if (!text) {
    return fail(text.error(), streams);
  }
  streams.out << *text << std::flush;
  return streams.out.good() ? 0 : fail(failed("cannot write to standard output"), streams);
}

// Every error with a line of its own, so that each can be found.
int check_config(const Command& command, const Streams& streams) {
  const Result<node::ConfigReading> reading = node::read_config_file(command.file);
  if (!reading) {
    return fail(reading.error(), streams);
  }
  if (command.form == Form::kJson) {
    streams.out << to_json(reading->errors);
  } else if (reading->errors.empty()) {
    streams.out << command.file << " is valid\n";
  }
  for (const TomlError& error : reading->errors) {
    fail(invalid(command.file + ":" + std::to_string(error.line) + ": " + error.text), streams);
  }
  return reading->errors.empty() ? 0 : 2;
}

std::string watch_text(const node::NodeSnapshot& snapshot, const Command& command,
                       const Streams& streams, std::uint64_t shown) {
  if (command.form == Form::kJson) {
    return to_json(snapshot);
  }
  constexpr char kClear[] = "\x1b[H\x1b[2J";
  return (streams.terminal ? kClear : (shown == 0 ? "" : "\n")) + render(snapshot);
}

int watch(const Command& command, const Streams& streams) {
  const ControlClient client(command.socket_path);
  auto next = std::chrono::steady_clock::now();
  for (std::uint64_t shown = 0;;) {
    const Result<node::NodeSnapshot> snapshot = client.list_vms();
    if (!snapshot) {
      return fail(snapshot.error(), streams);
    }
    if (const int code = print(watch_text(*snapshot, command, streams, shown), streams)) {
      return code;
    }
    if (++shown == command.watch_count) {
      return 0;
    }
    next += std::chrono::nanoseconds(command.watch_interval_ns != 0 ? command.watch_interval_ns
                                                                    : snapshot->node.interval_ns);
    std::this_thread::sleep_until(next);
  }
}

// What the program prints is its own: ours goes to standard error.
int run_program(const Command& command, const Streams& streams) {
  const Result<run::RunOutcome> outcome = run::run_program(command.run);
  if (!outcome) {
    return fail(outcome.error(), streams);
  }
  if (command.report) {
    streams.err << (command.form == Form::kJson ? to_json(*outcome) : render(*outcome));
  }
  return outcome->exit_code;
}

}  // namespace

int exit_code_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalid:
      return 2;
    case ErrorCode::kUnreachable:
      return 3;
    case ErrorCode::kFailed:
    case ErrorCode::kNotFound:
    case ErrorCode::kExists:
      break;
  }
  return 1;
}

int run(const Command& command, const Streams& streams) {
  switch (command.action) {
    case Action::kPrint:
      return print(command.text, streams);
    case Action::kPolicyEval:
      return print(eval_policy(command, streams), streams);
    case Action::kPolicyList:
      return print(list_policies(command), streams);
    case Action::kConfigCheck:
      return check_config(command, streams);
    case Action::kWatch:
      return watch(command, streams);
    case Action::kRun:
      return run_program(command, streams);
    case Action::kRecord: {
      const Result<std::string> figures = record(command, streams);
      return figures ? print(figures, streams) : fail(figures.error(), streams);
    }
    case Action::kPager: {
      const Status served = vmm_pager::serve(command.pager, streams.out);
      return served ? 0 : fail(served.error(), streams);
    }
    default:
      return print(ask(command), streams);
  }
}

int run(const std::vector<std::string>& words, const Streams& streams) {
  const Result<Command> command = parse_command_line(words);
  return command ? run(*command, streams) : fail(command.error(), streams);
}

}  // namespace fallow::cli
