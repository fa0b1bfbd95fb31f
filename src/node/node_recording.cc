// A node's recording: the store's operations, and once an interval what is known of the clients.
#include <algorithm>
#include <set>

#include "base/log.h"
#include "node/node.h"
#include "recording/file.h"

namespace fallow::node {
namespace {

recording::ClientNote note_of(const ClientView& client) {
  recording::ClientNote note{.name = client.name,
                             .quota_min = client.quota.min,
                             .quota_max = client.quota.max,
                             .quota_weight = client.quota.weight};
  if (client.report) {
    note.ram_limit_pages = client.report->ram_limit_pages;
    note.resident_pages = client.report->resident_pages;
    note.faults_total = client.report->faults_total;
    note.evictions_total = client.report->evictions_total;
    for (const MissRatioPoint& point : client.report->curve) {
      note.curve.push_back({point.pages, point.misses_per_million});
    }
  }
  return note;
}

}  // namespace

class Node::Recording final : public RecordingSource {
 public:
  // The node's recorder has been started.
  explicit Recording(Node& node) : node_(node), recorder_(node.store_->recorder()) {}
  ~Recording() override {
    recorder_.stop();
    log_info("recording_ended", {{"operations", operations_}, {"missing", missing_}});
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  [[nodiscard]] recording::NodeNote node() const override {
    return {.started_ns = recorder_.started_ns(),
            .frames = node_.store_->total_frames(),
            .interval_ns = node_.config_.interval_ns,
            .policy = node_.controller_->figures().policy,
            .version = FALLOW_VERSION};
  }

  RecordedPart take() override {
    recorder_.take(taken_);
    operations_ += taken_.size();
    missing_ = recorder_.missing();
    const std::vector<recording::ClientNote> notes = new_notes();
    return {.blocks = recording::blocks_of(taken_) + recording::blocks_of(notes),
            .operations = taken_.size(),
            .notes = notes.size(),
            .missing = missing_};
  }

 private:
  // Of everybody once an interval, and in between of those that have just come.
  std::vector<recording::ClientNote> new_notes() {
    const std::uint64_t now_ns = recorder_.now_ns();
    const bool all = now_ns >= next_notes_ns_;
    if (all) {
      next_notes_ns_ = now_ns + node_.config_.interval_ns;
    }
    std::vector<recording::ClientNote> notes = node_.client_notes();
    std::erase_if(notes,
                  [&](const auto& note) { return !known_.insert(note.client).second && !all; });
    for (recording::ClientNote& note : notes) {
      note.at_ns = now_ns;
    }
    return notes;
  }

  Node& node_;
  recording::Recorder& recorder_;
  std::vector<recording::Operation> taken_;
  std::set<std::uint32_t> known_;
  std::uint64_t next_notes_ns_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t missing_ = 0;
};

Result<std::unique_ptr<RecordingSource>> Node::record() {
  if (!store_->recorder().start()) {
    return Error{ErrorCode::kExists, "a recording is under way already: end it first"};
  }
  log_info("recording_started");
  return std::unique_ptr<RecordingSource>(std::make_unique<Recording>(*this));
}

std::vector<recording::ClientNote> Node::client_notes() const {
  std::set<ClientId> disks;
  {
    const std::lock_guard lock(vms_mutex_);
    for (const auto& [name, vm] : vms_) {
      disks.insert(vm->client());
    }
  }
  const std::map<ClientId, bool> connected = ring_clients_->list();
  std::vector<recording::ClientNote> notes;
  for (const tmem::ClientStatistics& client : store_->statistics()) {
    if (!disks.contains(client.id) && !connected.contains(client.id)) {
      continue;  // it is being made, or unmade
    }
    notes.push_back(note_of(view_of(client, true)));
    notes.back().client = client.id.value;
    notes.back().is_disk = disks.contains(client.id);
  }
  return notes;
}

}  // namespace fallow::node
