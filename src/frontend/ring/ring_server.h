// Where client processes connect: a Unix socket, a thread that reads who they are, and the workers
// that serve those who want pages. A client of a disk goes to the disk's own loop.
//
// Nothing that a client does holds up another one for longer than a worker's turn. A client that
// says nothing is dropped after a while, and the oldest such makes room for a new one; the number
// of clients, queues, entries and regions is bounded for each client and for all.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/listeners.h"
#include "frontend/ring/ring_host.h"
#include "tmem/store.h"

namespace fallow::ring {
class Doorkeeper;
}

namespace fallow {

struct RingServerOptions {
  std::string socket_path;
  std::optional<gid_t> socket_group;  // may open the socket, beside the daemon's user
  unsigned workers = 1;               // threads that serve pages
  Epoch epoch;                        // which life of the daemon
  ring::Limits limits;
  Listeners* listeners = &Listeners::plain();  // where the socket comes from; outlive the server
};

struct RingStatistics {
  std::uint64_t connected = 0;    // clients now, of pages and of disks
  std::uint64_t connections = 0;  // clients ever
  std::uint64_t refused = 0;      // that did not become clients
  std::uint64_t cut_off = 0;      // clients that broke the rules
  std::uint64_t entries = 0;      // operations carried out
};

// Any thread, but for create() and the end, which are for one at a time.
class RingServer {
 public:
  static constexpr unsigned kWorkersMax = 64;

  // Serves from now on. All three references outlive the server. Errors: kInvalid for bad options,
  // kExists when somebody listens at the path, kFailed.
  static Result<std::unique_ptr<RingServer>> create(RingHost& host, tmem::Store& store,
                                                    const Clock& clock,
                                                    const RingServerOptions& options);
  // Accepts nobody any more, ends the sessions of pages, closes the socket. Those of disks are
  // their RingDisk's affair and may end later.
  ~RingServer();
  RingServer(const RingServer&) = delete;
  RingServer& operator=(const RingServer&) = delete;

  [[nodiscard]] RingStatistics statistics() const;

 private:
  struct Worker;

  RingServer(RingHost& host, tmem::Store& store);
  Status start_workers(const Clock& clock, unsigned count);
  Status open_door(const Clock& clock, const RingServerOptions& options);
  Status welcome_to_pages(ring::Connection& connection);
  void serve_pages(Worker& worker, ring::Connection connection,
                   const RingHost::Admission& admission);

  RingHost& host_;
  tmem::Store& store_;
  std::shared_ptr<ring::Shared> shared_;
  std::unique_ptr<EventLoop> loop_;  // the doorkeeper's
  std::unique_ptr<ring::Doorkeeper> doorkeeper_;
  std::thread thread_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::size_t next_worker_ = 0;  // the doorkeeper's thread
};

}  // namespace fallow
