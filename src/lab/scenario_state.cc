#include "lab/scenario_state.h"

#include <algorithm>

namespace fallow::lab {

ScenarioState::ScenarioState(const Scenario& scenario, std::uint64_t now_ns)
    : scenario_(scenario), vms_(scenario.vms.size()) {
  for (std::size_t i = 0; i < vms_.size(); ++i) {
    vms_[i].free_ns = now_ns;
    reached_ns_.emplace_back(scenario.vms[i].runs.size());
  }
  look_at_triggers(now_ns);
}

void ScenarioState::take(std::size_t vm, const GuestLine& line, std::uint64_t now_ns) {
  Vm& state = vms_[vm];
  if (line.kind == LineKind::kAttempt) {
    state.attempted = std::max(state.attempted, line.number);
  } else if (line.kind == LineKind::kPhase) {
    state.phases.insert(line.name);
  } else if (line.kind == LineKind::kExited && state.running) {
    const RunPlan& plan = scenario_.vms[vm].runs[state.run];
    state.running = false;
    state.free_ns = now_ns;
    if (++state.time == plan.times) {
      state.time = 0;
      ++state.run;
    } else {
      state.free_ns += plan.pause_ns;
    }
  }
  look_at_triggers(now_ns);
}

bool ScenarioState::reached(const Trigger& trigger) const {
  return std::all_of(trigger.vms.begin(), trigger.vms.end(), [&](std::size_t vm) {
    const Vm& state = vms_[vm];
    switch (trigger.kind) {
      case Trigger::Kind::kAttempt:
        return state.attempted >= trigger.bytes;
      case Trigger::Kind::kPhase:
        return state.phases.contains(trigger.phase);
      case Trigger::Kind::kEnd:
        return state.run == scenario_.vms[vm].runs.size();
      case Trigger::Kind::kBegin:
        break;
    }
    return true;
  });
}

void ScenarioState::look_at_triggers(std::uint64_t now_ns) {
  for (std::size_t vm = 0; vm < vms_.size(); ++vm) {
    for (std::size_t run = 0; run < reached_ns_[vm].size(); ++run) {
      std::optional<std::uint64_t>& when = reached_ns_[vm][run];
      if (!when && reached(scenario_.vms[vm].runs[run].start)) {
        when = now_ns;
      }
    }
  }
  if (scenario_.stop && !stop_reached_ns_ && reached(*scenario_.stop)) {
    stop_reached_ns_ = now_ns;
  }
}

std::optional<std::uint64_t> ScenarioState::start_ns(std::size_t vm) const {
  const Vm& state = vms_[vm];
  if (state.running || state.run == scenario_.vms[vm].runs.size()) {
    return std::nullopt;
  }
  const std::optional<std::uint64_t>& when = reached_ns_[vm][state.run];
  if (!when) {
    return std::nullopt;
  }
  return std::max(*when + scenario_.vms[vm].runs[state.run].start.delay_ns, state.free_ns);
}

std::optional<std::uint64_t> ScenarioState::stop_ns() const {
  return stop_reached_ns_ ? std::optional(*stop_reached_ns_ + scenario_.stop->delay_ns)
                          : std::nullopt;
}

bool ScenarioState::stop_is_due(std::uint64_t now_ns) const {
  const auto at = stop_ns();
  return at && *at <= now_ns;
}

std::vector<Occasion> ScenarioState::due(std::uint64_t now_ns) {
  std::vector<Occasion> all;
  for (std::size_t vm = 0; vm < vms_.size() && !stop_is_due(now_ns); ++vm) {
    const auto at = start_ns(vm);
    if (at && *at <= now_ns) {
      vms_[vm].running = true;
      all.push_back({vm, vms_[vm].run, vms_[vm].time});
    }
  }
  return all;
}

bool ScenarioState::over() const {
  for (std::size_t vm = 0; vm < vms_.size(); ++vm) {
    if (vms_[vm].running || vms_[vm].run < scenario_.vms[vm].runs.size()) {
      return false;
    }
  }
  return true;
}

std::optional<std::uint64_t> ScenarioState::next_ns() const {
  std::optional<std::uint64_t> next = stop_ns();
  for (std::size_t vm = 0; vm < vms_.size(); ++vm) {
    const auto at = start_ns(vm);
    if (at && (!next || *at < *next)) {
      next = at;
    }
  }
  return next;
}

std::optional<Occasion> ScenarioState::running(std::size_t vm) const {
  const Vm& state = vms_[vm];
  return state.running ? std::optional(Occasion{vm, state.run, state.time}) : std::nullopt;
}

}  // namespace fallow::lab
