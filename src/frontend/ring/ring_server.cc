#include "frontend/ring/ring_server.h"

#include "base/check.h"
#include "base/log.h"
#include "frontend/ring/doorkeeper.h"
#include "frontend/ring/pages.h"
#include "frontend/ring/session_group.h"

namespace fallow {

struct RingServer::Worker {
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<ring::SessionGroup> sessions;
  std::thread thread;
};

RingServer::RingServer(RingHost& host, tmem::Store& store) : host_(host), store_(store) {}

Result<std::unique_ptr<RingServer>> RingServer::create(RingHost& host, tmem::Store& store,
                                                       const Clock& clock,
                                                       const RingServerOptions& options) {
  std::unique_ptr<RingServer> server(new RingServer(host, store));
  FALLOW_TRY(server->start_workers(clock, options.workers));
  FALLOW_TRY(server->open_door(clock, options));
  return server;
}

Status RingServer::start_workers(const Clock& clock, unsigned count) {
  if (count == 0 || count > kWorkersMax) {
    return invalid("a ring server has 1 to " + std::to_string(kWorkersMax) + " workers, not " +
                   std::to_string(count));
  }
  for (unsigned i = 0; i < count; ++i) {
    auto loop = EventLoop::create();
    if (!loop) {
      return loop.error();
    }
    auto worker = std::make_unique<Worker>();
    worker->loop = std::move(*loop);
    worker->sessions = std::make_unique<ring::SessionGroup>(*worker->loop, clock);
    auto thread = run_on_thread(*worker->loop, "ring " + std::to_string(i));
    FALLOW_TRY(thread);
    worker->thread = std::move(*thread);
    workers_.push_back(std::move(worker));
  }
  return {};
}

Status RingServer::open_door(const Clock& clock, const RingServerOptions& options) {
  auto loop = EventLoop::create();
  if (!loop) {
    return loop.error();
  }
  loop_ = std::move(*loop);
  shared_ = std::make_shared<ring::Shared>(options.limits);
  auto doorkeeper = ring::Doorkeeper::create(
      *loop_, clock, shared_,
      {options.socket_path, options.socket_group, options.epoch, options.limits.connections,
       options.listeners},
      [this](ring::Attach attach, ring::Connection& connection) {
        return attach == ring::Attach::kDisk ? host_.attach_disk(connection.name, connection)
                                             : welcome_to_pages(connection);
      });
  if (!doorkeeper) {
    return doorkeeper.error();
  }
  doorkeeper_ = std::move(*doorkeeper);
  auto thread = run_on_thread(*loop_, "ring door");
  FALLOW_TRY(thread);
  thread_ = std::move(*thread);
  return {};
}

// On the doorkeeper's thread.
Status RingServer::welcome_to_pages(ring::Connection& connection) {
  const auto admission = host_.admit_pages(connection.name, connection.secret, connection.uid);
  FALLOW_TRY(admission);
  Worker& worker = *workers_[next_worker_++ % workers_.size()];
  // A function object must be able to be copied, a connection cannot.
  auto moved = std::make_shared<ring::Connection>(std::move(connection));
  worker.loop->post([this, &worker, moved, admission = *admission] {
    serve_pages(worker, std::move(*moved), admission);
  });
  return {};
}

// On the worker's thread.
void RingServer::serve_pages(Worker& worker, ring::Connection connection,
                             const RingHost::Admission& admission) {
  const ring::PagesAttachment::Resumed resumed{admission.secret, admission.resumed};
  const auto keep_report = [this, client = admission.client](const ring::MemoryReport& report) {
    host_.keep_report(client, report);
  };
  worker.sessions->add(
      std::move(connection),
      std::make_unique<ring::PagesAttachment>(store_, admission.client, resumed, keep_report),
      [this, client = admission.client](ring::Session::End how) {
        if (how != ring::Session::End::kByDaemon) {
          const auto leaving = how == ring::Session::End::kLost ? RingHost::Leaving::kLost
                                                                : RingHost::Leaving::kForGood;
          loop_->post([=, this] { host_.release_pages(client, leaving); });
        }
      });
}

// The door first, so that nobody comes in; its loop runs on, as it gives up the pages of those who
// left before.
RingServer::~RingServer() {
  if (thread_.joinable()) {
    loop_->post([this] { doorkeeper_.reset(); });
  }
  for (const auto& worker : workers_) {
    worker->loop->post([at = worker.get()] { at->sessions->stop([at] { at->loop->stop(); }); });
    worker->thread.join();
  }
  if (thread_.joinable()) {
    loop_->stop();
    thread_.join();
  }
}

RingStatistics RingServer::statistics() const {
  const ring::Counters& counters = shared_->counters;
  return {.connected = counters.connected.load(),
          .connections = counters.connections.load(),
          .refused = counters.refused.load(),
          .cut_off = counters.cut_off.load(),
          .entries = counters.entries.load()};
}

}  // namespace fallow
