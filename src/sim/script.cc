#include "sim/script.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include "base/text.h"

namespace fallow::sim {
namespace {

using recording::Kind;
using recording::MarkKind;
using recording::Operation;
using recording::Outcome;

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kTimeMostNs = 7 * 24 * 3600 * kSecondNs;
constexpr std::uint64_t kIntervalLeastNs = 1'000'000;
constexpr std::uint64_t kIntervalDefaultNs = kSecondNs;
constexpr std::uint64_t kAgainLeastNs = 1'000'000;
constexpr std::size_t kClientsMost = 1024;
constexpr std::size_t kMarksMost = 16'384;
constexpr std::uint64_t kFramesMost = std::uint64_t{1} << 40;

bool is_curve(const std::vector<recording::CurvePoint>& points) {
  for (std::size_t i = 1; i < points.size(); ++i) {
    if (points[i].pages <= points[i - 1].pages ||
        points[i].misses_per_million > points[i - 1].misses_per_million) {
      return false;
    }
  }
  return !points.empty() && points.front().misses_per_million <= 1'000'000;
}

policy::Quota quota_of(const recording::ClientNote& note) {
  const bool sound = note.quota_min <= note.quota_max && note.quota_weight >= 1 &&
                     note.quota_weight <= policy::Quota::kWeightMax;
  return sound ? policy::Quota{note.quota_min, note.quota_max, note.quota_weight} : policy::Quota{};
}

struct Key {
  std::uint64_t object;
  std::uint32_t pool;
  std::uint32_t index;
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key& key) const {
    const std::uint64_t low = (std::uint64_t{key.pool} << 32) | key.index;
    std::uint64_t mixed = (low ^ key.object * 0x9e3779b97f4a7c15) * 0xd6e8feb86659fd93;
    return mixed ^ mixed >> 32;
  }
};

// One client's operations, with its pages by number.
class ClientMaker {
 public:
  void add(const Operation& operation, ScriptClient& client) {
    Event event{.at_ns = operation.at_ns};
    switch (operation.kind) {
      case Kind::kPut:
        event.kind = operation.outcome == Outcome::kWithoutFrame ? EventKind::kPutWithoutFrame
                                                                 : EventKind::kPut;
        break;
      case Kind::kGet:
        event.kind = operation.outcome == Outcome::kNot ? EventKind::kGetMissing : EventKind::kGet;
        break;
      case Kind::kRead:
        event.kind = EventKind::kGet;
        break;
      case Kind::kFlush:
        event.kind = EventKind::kFlush;
        break;
      case Kind::kFlushObject:
      case Kind::kFlushPool:
        event.kind = EventKind::kFlushGroup;
        event.what = group_of(operation, client);
        client.events.push_back(event);
        return;
      case Kind::kClientGone:
        event.kind = EventKind::kGone;
        event.what = group_of(operation, client);
        client.events.push_back(event);
        return;
    }
    event.what = page_of(operation, client);
    client.events.push_back(event);
  }

 private:
  using ObjectKey = std::pair<std::uint32_t, std::uint64_t>;  // with its pool

  std::uint32_t page_of(const Operation& operation, ScriptClient& client) {
    const Key key{operation.object, operation.pool, operation.index};
    const auto [at, added] = pages_.try_emplace(key, static_cast<std::uint32_t>(pages_.size()));
    const std::uint32_t page = at->second;
    if (added) {
      client.places.push_back(operation.index);
      used_.push_back(false);
    }
    if (!used_[page]) {
      used_[page] = true;
      used_by_object_[{operation.pool, operation.object}].push_back(page);
    }
    return page;
  }

  // Those that were used since they were last in a group: the others are gone since then. So all
  // groups together are no larger than what they are made of, however often a pool is flushed.
  std::uint32_t group_of(const Operation& operation, ScriptClient& client) {
    const auto [begin, end] = objects_of(operation);
    std::vector<std::uint32_t> pages;
    for (auto at = begin; at != end; ++at) {
      pages.insert(pages.end(), at->second.begin(), at->second.end());
    }
    used_by_object_.erase(begin, end);
    for (const std::uint32_t page : pages) {
      used_[page] = false;
    }
    client.groups.push_back(std::move(pages));
    return static_cast<std::uint32_t>(client.groups.size() - 1);
  }

  using Objects = std::map<ObjectKey, std::vector<std::uint32_t>>;
  std::pair<Objects::iterator, Objects::iterator> objects_of(const Operation& operation) {
    Objects& all = used_by_object_;
    if (operation.kind == Kind::kClientGone) {
      return {all.begin(), all.end()};
    }
    const bool pool = operation.kind == Kind::kFlushPool;
    return {all.lower_bound({operation.pool, pool ? 0 : operation.object}),
            all.upper_bound({operation.pool, pool ? UINT64_MAX : operation.object})};
  }

  std::unordered_map<Key, std::uint32_t, KeyHash> pages_;
  std::vector<bool> used_;  // by page: it is in `used_by_object_`
  Objects used_by_object_;
};

class Maker {
 public:
  explicit Maker(const recording::Recording& recording) : recording_(recording) {}

  Result<Script> make() {
    FALLOW_TRY(check_times());
    script_.frames = std::min(recording_.node.frames, kFramesMost);
    script_.interval_ns = recording_.node.interval_ns;
    if (script_.interval_ns < kIntervalLeastNs || script_.interval_ns > kTimeMostNs) {
      script_.interval_ns = kIntervalDefaultNs;
    }
    for (const Operation& operation : recording_.operations) {
      const auto client = client_of(operation.client, operation.at_ns);
      FALLOW_TRY(client);
      makers_[*client].add(operation, script_.clients[*client]);
    }
    FALLOW_TRY(take_notes());
    FALLOW_TRY(take_marks());
    if (script_.clients.empty()) {
      return invalid("the recording holds no client: record while some put and get");
    }
    take_doubts();
    return std::move(script_);
  }

 private:
  Status check_times() const {
    const auto late = [](const auto& one) { return one.at_ns > kTimeMostNs; };
    const auto& marks = recording_.marks;
    const bool wrong =
        std::any_of(recording_.operations.begin(), recording_.operations.end(), late) ||
        std::any_of(recording_.notes.begin(), recording_.notes.end(), late) ||
        std::any_of(marks.begin(), marks.end(), late) ||
        std::any_of(marks.begin(), marks.end(),
                    [](const auto& mark) { return mark.delay_ns > kTimeMostNs; });
    return wrong ? invalid("the recording is longer than a week, which is not replayed") : Status();
  }

  Result<std::size_t> add_client(const std::string& name, std::uint64_t at_ns) {
    if (script_.clients.size() >= kClientsMost) {
      return invalid("the recording holds more than " + std::to_string(kClientsMost) +
                     " clients, which are not replayed");
    }
    script_.clients.push_back({.name = name, .comes_ns = at_ns});
    makers_.emplace_back();
    return script_.clients.size() - 1;
  }

  Result<std::size_t> client_of(std::uint32_t id, std::uint64_t at_ns) {
    const auto found = by_id_.find(id);
    if (found != by_id_.end()) {
      return found->second;
    }
    const auto added = add_client("client-" + std::to_string(id), at_ns);
    FALLOW_TRY(added);
    return by_id_[id] = *added;
  }

  Status take_notes() {
    for (const recording::ClientNote& note : recording_.notes) {
      const auto number = client_of(note.client, note.at_ns);
      FALLOW_TRY(number);
      ScriptClient& client = script_.clients[*number];
      if (check_name(note.name)) {  // else it is no daemon's, and may be meant for a terminal
        client.name = note.name;
      }
      client.is_disk = note.is_disk;
      client.comes_ns = std::min(client.comes_ns, note.at_ns);
      client.ram_pages = std::max(client.ram_pages, note.ram_limit_pages);
      const Knowledge known{.at_ns = note.at_ns,
                            .ram_pages = note.ram_limit_pages,
                            .quota = quota_of(note),
                            .curve = curve_of(note)};
      if (client.known.empty() || !same(client.known.back(), known)) {
        client.known.push_back(known);
      }
    }
    return {};
  }

  static bool same(const Knowledge& a, const Knowledge& b) {
    return a.ram_pages == b.ram_pages && a.quota == b.quota && a.curve == b.curve;
  }

  // The same one says the same again and again.
  std::size_t curve_of(const recording::ClientNote& note) {
    if (!is_curve(note.curve)) {
      return Knowledge::kNoCurve;
    }
    auto& [points, number] = last_curves_[note.client];
    if (points != note.curve) {
      points = note.curve;
      number = script_.curves.size();
      std::vector<policy::MissRatioCurve::Point> curve;
      for (const recording::CurvePoint& point : points) {
        curve.push_back({point.pages, static_cast<double>(point.misses_per_million) / 1e6});
      }
      script_.curves.emplace_back(std::move(curve));
    }
    return number;
  }

  Status take_marks() {
    if (recording_.marks.size() > kMarksMost) {
      return invalid("the recording has more marks than are replayed");
    }
    std::map<std::uint32_t, std::uint32_t> numbers;
    for (const recording::Mark& mark : recording_.marks) {
      if (!check_name(mark.client)) {
        return invalid("a mark of the recording is of a client whose name cannot be");
      }
      const auto client = client_named(mark.client, mark.at_ns);
      FALLOW_TRY(client);
      ScriptMark one{.kind = mark.kind, .client = *client, .delay_ns = mark.delay_ns};
      for (const std::uint32_t id : mark.after) {
        const auto found = numbers.find(id);
        if (found == numbers.end()) {
          return invalid("a mark of the recording waits for one that comes later");
        }
        one.after.push_back(found->second);
      }
      if (mark.kind == MarkKind::kStop && mark.after.empty()) {
        return invalid("a stop in the recording waits for no mark");
      }
      const auto number = static_cast<std::uint32_t>(script_.marks.size());
      if (!numbers.emplace(mark.id, number).second) {
        return invalid("two marks of the recording have the same number");
      }
      script_.marks.push_back(std::move(one));
      place(mark, number);
    }
    return {};
  }

  Result<std::size_t> client_named(const std::string& name, std::uint64_t at_ns) {
    for (std::size_t i = 0; i < script_.clients.size(); ++i) {
      if (script_.clients[i].name == name) {
        return i;
      }
    }
    return add_client(name, at_ns);
  }

  // Into the client's stream. A stop is nothing that the client does.
  void place(const recording::Mark& mark, std::uint32_t number) {
    ScriptClient& client = script_.clients[script_.marks[number].client];
    if (mark.kind == MarkKind::kStop) {
      client.stop = number;
      look_for_end(client, mark.at_ns);
      return;
    }
    const auto later = [](std::uint64_t at_ns, const Event& event) { return at_ns < event.at_ns; };
    const auto at = std::upper_bound(client.events.begin(), client.events.end(), mark.at_ns, later);
    client.events.insert(at, {mark.at_ns, number, EventKind::kMark});
  }

  // What it did after it was stopped does not count. The later half of the rest is what it would
  // have gone on with, unless it was idle by then.
  static void look_for_end(ScriptClient& client, std::uint64_t stop_ns) {
    std::uint64_t begin_ns = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
    for (std::size_t i = 0; i < client.events.size() && client.events[i].at_ns <= stop_ns; ++i) {
      if (client.events[i].kind == EventKind::kMark) {
        begin = i + 1;
        begin_ns = client.events[i].at_ns;
      }
      end = i + 1;
    }
    client.events.resize(end);
    const std::uint64_t lasted_ns = stop_ns - begin_ns;
    const std::size_t again = begin + (end - begin) / 2;
    if (end >= begin + 2 && stop_ns - client.events.back().at_ns <= lasted_ns / 10 &&
        client.events.back().at_ns - client.events[again].at_ns >= kAgainLeastNs) {
      client.again = again;
    }
  }

  void take_doubts() {
    if (recording_.missing > 0) {
      script_.doubts.push_back(std::to_string(recording_.missing) +
                               " operations are missing in the recording");
    }
    if (!recording_.whole) {
      script_.doubts.push_back("the recording was cut off");
    }
    std::uint64_t refused = 0;
    for (const Operation& operation : recording_.operations) {
      const auto at = by_id_.find(operation.client);
      refused += operation.kind == Kind::kPut && operation.outcome == Outcome::kNot &&
                 !script_.clients[at->second].is_disk;
    }
    if (refused > 0) {
      script_.doubts.push_back(
          std::to_string(refused) +
          " puts of processes were refused while it was recorded, and what they did with those "
          "pages is not known: record with memory for all");
    }
  }

  const recording::Recording& recording_;
  Script script_;
  std::vector<ClientMaker> makers_;
  std::map<std::uint32_t, std::size_t> by_id_;
  std::map<std::uint32_t, std::pair<std::vector<recording::CurvePoint>, std::size_t>> last_curves_;
};

}  // namespace

Result<Script> make_script(const recording::Recording& recording) {
  return Maker(recording).make();
}

}  // namespace fallow::sim
