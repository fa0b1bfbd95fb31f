#include "frontend/vhost_user/ring_set.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "frontend/vhost_user/eventfd.h"

namespace fallow::vhost_user {
namespace {

// What one ring does to the loop before others get their turn.
constexpr unsigned kChainsPerTurn = 64;

}  // namespace

void log_export_event(const Export& exported, std::string_view event, std::string_view detail) {
  log_info(event, {{"export", exported.name}, {"detail", detail}});
}

RingSet::RingSet(const Export& exported, Owner& owner)
    : export_(exported),
      owner_(owner),
      begun_before_(exported.begun),
      scratch_(std::make_unique<Chain>()),
      rings_(exported.shape.queues_max) {}

RingSet::~RingSet() {
  CHECK(in_flight() == 0);
  if (!abandoned_) {  // else the loop may be gone already
    abandon();
  }
}

// Setting up.

Status RingSet::set_memory(std::span<const Region> regions, std::span<const UniqueFd> files) {
  auto memory = GuestMemory::map(regions, files);
  if (!memory) {
    return memory.error();
  }
  memory_ = std::move(*memory);
  stop_rings_without_memory();
  return {};
}

Status RingSet::remove_memory(const Region& region) {
  FALLOW_TRY(memory_.remove(region));
  stop_rings_without_memory();
  return {};
}

Status RingSet::set_features(std::uint64_t features) {
  const bool logs_data = (features & bit(kFeatureLogAll)) != 0;
  if (logs_data && any_started() && !log_.mapped()) {
    return invalid("a dirty log is asked for of started rings, and there is none");
  }
  features_ = features;
  logs_data_ = logs_data;
  return {};
}

Status RingSet::set_log(int file, const LogDescription& log) {
  FALLOW_TRY(log_.map(file, log.offset, log.size));
  serve_all_soon();
  return {};
}

void RingSet::stop_rings_without_memory() {
  for (std::uint32_t index = 0; index < rings_.size(); ++index) {
    Vring& ring = rings_[index];
    if (ring.started() && !ring.queue()->remap()) {
      log_export_event(export_, "vhost_user_ring_lost_its_memory", std::to_string(index));
      unwatch(ring);
      ring.signal_error();
      ring.stop();
    }
  }
}

bool RingSet::any_started() const {
  return std::any_of(rings_.begin(), rings_.end(),
                     [](const Vring& ring) { return ring.started(); });
}

Status RingSet::set_inflight_region(InflightRegion region) {
  if (any_started()) {
    return invalid("an in-flight region cannot be set while rings are started");
  }
  inflight_.emplace(std::move(region));
  return {};
}

Result<InflightLog> RingSet::inflight_log(std::uint32_t index) const {
  return inflight_ ? inflight_->log(index) : InflightLog();
}

Result<Vring*> RingSet::find(std::uint32_t index) {
  if (index >= rings_.size()) {
    return invalid("queue " + std::to_string(index) + " does not exist: there are " +
                   std::to_string(rings_.size()));
  }
  return &rings_[index];
}

Status RingSet::start(std::uint32_t index, UniqueFd kick) {
  const auto found = find(index);
  FALLOW_TRY(found);
  Vring& ring = **found;
  unwatch(ring);
  FALLOW_TRY(check_beginning(ring));
  const auto inflight = inflight_log(index);
  FALLOW_TRY(inflight);
  FALLOW_TRY(ring.start(std::move(kick), features_, *inflight,
                        {export_.device, export_.shape, memory_, *scratch_, export_.counters, log_,
                         logs_data_, *this}));
  export_.begun = true;
  serve_soon(index);  // what was made available before the kick descriptor came
  return watch(index);
}

Status RingSet::watch(std::uint32_t index) {
  return export_.loop->watch(rings_[index].kick_fd(), [this, index] { on_kick(index); });
}

// A guest that was running before this disk was made (the daemon was restarted, or the guest has
// migrated here) believes its pages to be on it, and would read zeros. Its rings go on where they
// were; a guest that begins has them at 0.
Status RingSet::check_beginning(const Vring& ring) const {
  if (ring.base() == 0 || ring.begun() || begun_before_) {
    return {};
  }
  return invalid(
      "the guest was using this disk before the daemon had it, and its pages are not"
      " here: restart the guest");
}

Status RingSet::set_enabled(std::uint32_t index, bool enabled) {
  const auto found = find(index);
  FALLOW_TRY(found);
  (*found)->set_enabled(enabled);
  serve_soon(index);
  return {};
}

Result<std::uint16_t> RingSet::stop(std::uint32_t index) {
  const auto found = find(index);
  FALLOW_TRY(found);
  Vring& ring = **found;
  if (ring.started()) {
    ring.flush();
    unwatch(ring);
  }
  return ring.stop();
}

void RingSet::reset() {
  for (Vring& ring : rings_) {
    unwatch(ring);
    ring.reset();
  }
  inflight_.reset();
}

void RingSet::unwatch(const Vring& ring) {
  if (ring.started()) {
    export_.loop->unwatch(ring.kick_fd());
  }
}

// At work.

bool RingSet::serves(const Vring& ring) const {
  if ((logs_data_ || ring.logs_used_ring()) && !log_.mapped()) {
    return false;  // the guest's copy elsewhere would miss what is written now
  }
  const bool enabled = ring.enabled() || (features_ & bit(kFeatureProtocolFeatures)) == 0;
  return ring.started() && enabled && !ring.queue()->broken() && !paused_ && !abandoned_;
}

void RingSet::on_kick(std::uint32_t index) {
  drain_eventfd(rings_[index].kick_fd());
  serve(index);
}

void RingSet::serve(std::uint32_t index) {
  Vring& ring = rings_[index];
  if (!serves(ring)) {
    return;
  }
  ++turns_;
  const auto served = ring.serve(kChainsPerTurn);
  --turns_;
  if (served == BlockQueue::Served::kBroken) {
    queue_broke(index);
  } else if (served == BlockQueue::Served::kSome) {
    serve_soon(index);
  }
  after_turn();
}

void RingSet::queue_broke(std::uint32_t index) {
  log_export_event(export_, "vhost_user_queue_broken", std::to_string(index));
  rings_[index].flush();
  rings_[index].signal_error();
}

void RingSet::serve_soon(std::uint32_t index) {
  owner_.post([this, index] { serve(index); });
}

// A ring that stops before it was ever served must not leave a former life's requests behind: its
// base says that they are done.
void RingSet::pause() {
  paused_ = true;
  ++turns_;
  for (std::uint32_t index = 0; index < rings_.size(); ++index) {
    if (rings_[index].started() && !rings_[index].queue()->resubmit()) {
      queue_broke(index);
    }
  }
  --turns_;
}

void RingSet::resume() {
  paused_ = false;
  serve_all_soon();
}

void RingSet::serve_all_soon() {
  for (std::uint32_t index = 0; index < rings_.size(); ++index) {
    if (rings_[index].started()) {
      serve_soon(index);
    }
  }
}

void RingSet::poll_device() {
  ++turns_;
  export_.device.poll();
  --turns_;
  flush();
  after_turn();
}

void RingSet::flush() {
  flush_posted_ = false;
  for (Vring& ring : rings_) {
    if (ring.started()) {
      ring.flush();
    }
  }
  log_.notify();
}

void RingSet::after_turn() {
  log_.notify();
  if (!abandoned_ && log_.broken()) {
    owner_.rings_lost("the front end's dirty log does not cover what its guest is given");
  } else if (!abandoned_ && (memory_.broken() || (inflight_ && inflight_->broken()))) {
    owner_.rings_lost("the front end took shared memory away while it was in use");
  }
}

void RingSet::request_done() {
  if (turns_ == 0 && !flush_posted_) {
    flush_posted_ = true;
    owner_.post([this] { flush(); });
  }
  if (paused_ && in_flight() == 0) {
    owner_.rings_idle();
  }
}

void RingSet::abandon() {
  abandoned_ = true;
  for (const Vring& ring : rings_) {
    if (ring.started()) {
      ring.queue()->abandon();
      unwatch(ring);
    }
  }
}

void RingSet::leave_loop() {
  flush_posted_ = false;
  if (!abandoned_) {
    for (const Vring& ring : rings_) {
      unwatch(ring);
    }
  }
}

Status RingSet::join_loop() {
  if (abandoned_) {
    return {};
  }
  for (std::uint32_t index = 0; index < rings_.size(); ++index) {
    if (rings_[index].started()) {
      FALLOW_TRY(watch(index));
    }
  }
  flush();
  serve_all_soon();
  return {};
}

std::uint64_t RingSet::in_flight() const {
  std::uint64_t sum = 0;
  for (const Vring& ring : rings_) {
    sum += ring.started() ? ring.queue()->in_flight() : 0;
  }
  return sum;
}

}  // namespace fallow::vhost_user
