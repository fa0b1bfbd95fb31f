#include "sim/replay.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <queue>
#include <thread>

#include "base/clock.h"
#include "node/controller.h"

namespace fallow::sim {
namespace {

using recording::MarkKind;

// What comes within this time of each other was asked for at once.
constexpr std::uint64_t kTogetherNs = 50'000;
constexpr std::size_t kTogetherMost = 256;

class Replay {
 public:
  Replay(const Script& script, const ReplaySettings& settings,
         std::unique_ptr<policy::Policy> policy)
      : script_(script),
        settings_(settings),
        interval_ns_(settings.interval_ns != 0 ? settings.interval_ns : script.interval_ns),
        memory_(settings.frames != 0 ? settings.frames : script.frames),
        controller_(memory_, clock_, std::move(policy), 1),
        marks_ns_(script.marks.size()) {
    for (std::size_t i = 0; i < script.clients.size(); ++i) {
      clients_.push_back({&script.clients[i]});
      queue_.push({script.clients[i].comes_ns, kCome, i});
    }
    queue_.push({interval_ns_, kTick, 0});
  }

  Outcome run() {
    while (left_ > 0 && !stuck_) {
      const Due due = queue_.top();
      queue_.pop();
      clock_.sleep_until_ns(due.at_ns);
      carry_out(due);
    }
    for (Client& client : clients_) {
      end(client, clock_.now_ns());
    }
    return outcome();
  }

 private:
  enum What : std::uint8_t { kStop, kCome, kTick, kStep, kFollow };
  // In the order of their times, then of what they are, then of the clients: always the same.
  struct Due {
    std::uint64_t at_ns;
    What what;
    std::size_t client;
    auto operator<=>(const Due&) const = default;
  };
  struct Client {
    const ScriptClient* script;
    std::optional<ReplayClient> model{};
    std::size_t next = 0;           // of the script's events
    std::uint64_t done_ns = 0;      // when the one before it was done
    std::uint64_t recorded_ns = 0;  // and when it was, in the recording
    std::size_t known = 0;          // how many of the script's are known by then
    std::optional<std::uint64_t> first_ns{};
    std::optional<std::uint64_t> begun_ns{};
    std::uint64_t running_ns = 0;
    bool marked = false;
    bool waits = false;    // for a mark
    bool repeats = false;  // what it did when it was recorded is done
    bool over = false;
  };

  void carry_out(const Due& due) {
    switch (due.what) {
      case kStop:
        --stops_;
        return end(clients_[due.client], due.at_ns);
      case kCome:
        return come(due.client, due.at_ns);
      case kTick:
        stuck_ = !goes_on();
        controller_.tick(demands());
        queue_.push({due.at_ns + interval_ns_, kTick, 0});
        return;
      case kStep:
        return step(due.client, due.at_ns);
      case kFollow:
        queue_.push({std::max(clients_[due.client].model->follow_target(due.at_ns), due.at_ns + 1),
                     kFollow, due.client});
        return;
    }
  }

  // Whether anybody gets on who is not waiting, or going on and on until others have.
  [[nodiscard]] bool goes_on() const {
    return stops_ > 0 || std::any_of(clients_.begin(), clients_.end(), [](const Client& client) {
             return !client.over && !client.waits && !client.repeats &&
                    (!client.model || client.next < client.script->events.size());
           });
  }

  void come(std::size_t number, std::uint64_t now_ns) {
    Client& client = clients_[number];
    const ClientId id = memory_.add_client(client.script->name);
    client.model.emplace(*client.script, settings_.client, memory_, id);
    learn(client, now_ns);
    memory_.set_target(id, controller_.initial_target(memory_.clients(), client.script->name));
    client.done_ns = client.recorded_ns = now_ns;
    queue_.push({now_ns, kFollow, number});
    await_next(number);
  }

  // What the daemon would know of it by now.
  void learn(Client& client, std::uint64_t recorded_ns) {
    const std::vector<Knowledge>& all = client.script->known;
    while (client.known < all.size() && all[client.known].at_ns <= recorded_ns) {
      memory_.set_quota(client.model->id(), all[client.known++].quota);
    }
  }

  // Has the client's next operation wait for its time.
  void await_next(std::size_t number) {
    Client& client = clients_[number];
    const std::vector<Event>& events = client.script->events;
    if (client.next >= events.size() && !go_on_again(client)) {
      if (client.script->stop == ScriptClient::kNoStop) {
        end(client, client.done_ns);
      }
      return;
    }
    const Event& event = events[client.next];
    const std::uint64_t thinks_ns = event.at_ns - std::min(event.at_ns, client.recorded_ns);
    std::uint64_t at_ns = client.done_ns + thinks_ns;
    if (event.kind == EventKind::kMark && !script_.marks[event.what].after.empty()) {
      const auto reached_ns = reached(script_.marks[event.what]);
      client.waits = !reached_ns;
      if (client.waits) {
        return;
      }
      at_ns = std::max(client.done_ns, *reached_ns);
    }
    queue_.push({std::max(at_ns, clock_.now_ns()), kStep, number});
  }

  // One that goes on until it is stopped, and has done what it did when it was recorded.
  static bool go_on_again(Client& client) {
    if (client.script->again == ScriptClient::kNotAgain) {
      return false;
    }
    client.repeats = true;
    client.next = client.script->again;
    client.recorded_ns = client.script->events[client.next].at_ns;
    return true;
  }

  // When all that a mark waits for has come.
  [[nodiscard]] std::optional<std::uint64_t> reached(const ScriptMark& mark) const {
    std::uint64_t latest_ns = 0;
    for (const std::uint32_t one : mark.after) {
      if (!marks_ns_[one]) {
        return std::nullopt;
      }
      latest_ns = std::max(latest_ns, *marks_ns_[one]);
    }
    return latest_ns + mark.delay_ns;
  }

  void step(std::size_t number, std::uint64_t now_ns) {
    Client& client = clients_[number];
    if (client.over) {
      return;
    }
    const std::vector<Event>& events = client.script->events;
    const std::size_t first = client.next;
    client.first_ns = client.first_ns.value_or(now_ns);
    if (events[first].kind == EventKind::kMark) {
      client.next = first + 1;
      client.done_ns = now_ns;
      client.recorded_ns = events[first].at_ns;
      pass(number, events[first].what, now_ns);
      return await_next(number);
    }
    std::size_t end = first + 1;
    while (end < events.size() && end - first < kTogetherMost &&
           events[end].kind != EventKind::kMark &&
           events[end].at_ns - events[end - 1].at_ns <= kTogetherNs) {
      ++end;
    }
    client.next = end;
    client.recorded_ns = events[end - 1].at_ns;
    client.done_ns = client.model->carry_out({&events[first], end - first}, now_ns) +
                     events[end - 1].at_ns - events[first].at_ns;
    learn(client, client.recorded_ns);
    await_next(number);
  }

  void pass(std::size_t number, std::uint32_t mark_number, std::uint64_t now_ns) {
    Client& client = clients_[number];
    const ScriptMark& mark = script_.marks[mark_number];
    marks_ns_[mark_number] = marks_ns_[mark_number].value_or(now_ns);
    client.marked = client.marked || mark.kind != MarkKind::kPoint;
    if (mark.kind == MarkKind::kBegin) {
      client.begun_ns = now_ns;
    } else if (mark.kind == MarkKind::kEnd) {
      count_run(client, now_ns);
    }
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i].waits) {
        clients_[i].waits = false;
        await_next(i);
      }
      stop_when_reached(i);
    }
  }

  void stop_when_reached(std::size_t number) {
    const std::uint32_t stop = clients_[number].script->stop;
    if (stop != ScriptClient::kNoStop && !marks_ns_[stop]) {
      if (const auto at_ns = reached(script_.marks[stop])) {
        marks_ns_[stop] = at_ns;
        ++stops_;
        queue_.push({std::max(*at_ns, clock_.now_ns()), kStop, number});
      }
    }
  }

  static void count_run(Client& client, std::uint64_t now_ns) {
    if (client.begun_ns) {
      client.running_ns += now_ns - *client.begun_ns;
      client.begun_ns.reset();
    }
  }

  void end(Client& client, std::uint64_t now_ns) {
    if (client.over) {
      return;
    }
    if (!client.marked && client.first_ns) {
      client.begun_ns = client.first_ns;
    }
    count_run(client, now_ns);
    client.over = true;
    --left_;
  }

  [[nodiscard]] std::map<ClientId, node::DemandTotals> demands() const {
    std::map<ClientId, node::DemandTotals> all;
    for (const Client& client : clients_) {
      const ScriptClient& script = *client.script;
      if (!client.model) {
        continue;
      }
      node::DemandTotals demand = client.model->demand();
      const Knowledge* known = client.known > 0 ? &script.known[client.known - 1] : nullptr;
      if (!script.is_disk && (known == nullptr || known->ram_pages == 0)) {
        continue;  // it says nothing
      }
      if (!script.is_disk) {
        demand.ram_pages = known->ram_pages;
        if (known->curve != Knowledge::kNoCurve) {
          demand.curve = script_.curves[known->curve];
        }
      }
      all[client.model->id()] = std::move(demand);
    }
    return all;
  }

  Outcome outcome() {
    Outcome outcome{.policy = controller_.figures().policy,
                    .target_changes = controller_.figures().target_changes};
    for (const Client& client : clients_) {
      ClientOutcome one{.name = client.script->name,
                        .running_s = static_cast<double>(client.running_ns) / 1e9};
      if (client.model) {
        one.puts = memory_.counters(client.model->id()).puts_total;
        one.frames_peak = memory_.peak(client.model->id());
        one.figures = client.model->figures();
      }
      outcome.total_s += one.running_s;
      outcome.refaults += one.figures.refaults;
      outcome.clients.push_back(std::move(one));
    }
    return outcome;
  }

  const Script& script_;
  const ReplaySettings& settings_;
  const std::uint64_t interval_ns_;
  ManualClock clock_;
  Memory memory_;
  node::Controller controller_;
  std::vector<Client> clients_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> queue_;
  std::vector<std::optional<std::uint64_t>> marks_ns_;
  std::size_t stops_ = 0;  // that are due
  bool stuck_ = false;
  std::size_t left_ = script_.clients.size();  // that are not over
};

}  // namespace

Result<Outcome> replay(const Script& script, const ReplaySettings& settings,
                       const std::string& policy) {
  auto made = policy::make_policy(policy);
  if (!made) {
    return made.error();
  }
  return Replay(script, settings, *std::move(made)).run();
}

Result<std::vector<Outcome>> replay_all(const Script& script, const ReplaySettings& settings,
                                        const std::vector<std::string>& policies) {
  std::vector<Result<Outcome>> results(policies.size(), failed("not replayed"));
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < policies.size(); i = next++) {
      results[i] = replay(script, settings, policies[i]);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1;
       i < std::min<std::size_t>(std::thread::hardware_concurrency(), policies.size()); ++i) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::vector<Outcome> outcomes;
  for (Result<Outcome>& result : results) {
    FALLOW_TRY(result);
    outcomes.push_back(*std::move(result));
  }
  return outcomes;
}

}  // namespace fallow::sim
