// The pager: keeps at most so many pages of its address spaces in RAM. The rest is with the daemon,
// or in a backing file where the daemon refuses a page; a fault brings a page back.
//
// A few threads answer faults: one of them at a time waits for the next, and lets another wait
// while it has to do with something slow. One more thread sees to it that there is always some
// room, so that a fault does not wait for a page to leave. A page leaves RAM in three steps: it is
// write-protected, copied to its slot, and dropped once its slot has it; a write in between calls
// it off. So a page is in RAM, or whole in its slot, at any moment.
//
// What the table of pages says may be less than what is in RAM, and never more: a page that it has
// in RAM and that faults has been given back by the program, and reads as zeros.
//
// Pages that have left RAM follow the client's target: one that leaves again without having been
// written goes from the file to the daemon while that has room, and the oldest go from the daemon
// to the file while it has too many.
//
// A page that was brought in to be read keeps its slot and is protected: if nobody writes to it, it
// leaves without being copied. Where most such pages are written after all, none is protected for a
// while.
//
// Public functions: any thread. The pager's threads take no memory of the spaces that they page.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/result.h"
#include "pager/fault_source.h"
#include "pager/memory_monitor.h"
#include "pager/neighbours.h"
#include "pager/page_access.h"
#include "pager/page_store.h"
#include "pager/page_table.h"
#include "pager/resident_queue.h"
#include "pager/streams.h"
#include "pager/userfault.h"

namespace fallow::pager {

struct PagerOptions {
  std::uint64_t ram_pages = 0;
  unsigned handlers = 2;
  StoreOptions store;
  // To the backing file, while the daemon has more pages than the client's target says; 0: off.
  std::uint64_t demotion_pages_per_second = 2000;
  std::string trace_path;  // not empty: a file for what MemoryMonitor::trace_to() says
};

struct PagerStatistics {
  std::uint64_t ram_pages = 0;
  std::uint64_t resident = 0;
  std::uint64_t resident_max = 0;  // so far, as far as pages are counted
  std::uint64_t in_fallow = 0;
  std::uint64_t in_file = 0;
  std::uint64_t faults = 0;        // on pages that were not in RAM
  std::uint64_t faults_zero = 0;   // of these, the first ones on a page
  std::uint64_t faults_write = 0;  // on pages that were protected
  std::uint64_t evictions = 0;
  std::uint64_t evictions_clean = 0;  // of these, without copying
  std::uint64_t probes = 0;           // of these, to see whether the page is used
  std::uint64_t promotions = 0;       // pages that went from the backing file to the daemon
  std::uint64_t demotions = 0;        // the other way
  std::uint64_t prefetched = 0;
  std::uint64_t prefetch_hits = 0;
  std::uint64_t failures = 0;       // faults that were answered with SIGBUS
  std::uint64_t file_requests = 0;  // reads and writes of the backing file, each of some pages
  DiskSpeed backing_speed{};
  Histogram::Snapshot latency_ns;  // from when the fault was read until its page was there
};

class Pager {
 public:
  using SpaceId = std::uint32_t;
  // Less makes no progress that is worth the name.
  static constexpr std::uint64_t kRamPagesLeast = 256;
  static Status check_ram_pages(std::uint64_t pages);
  // "2000" or "off", for PagerOptions.
  static constexpr std::uint64_t kDemotionMost = 1'000'000;
  static Result<std::uint64_t> parse_demotion(const std::string& text);

  // Errors: kInvalid for a limit that is too small, kUnreachable without a daemon, kFailed.
  static Result<std::unique_ptr<Pager>> create(const PagerOptions& options);
  // The spaces' memory is not used any more.
  ~Pager();
  Pager(const Pager&) = delete;
  Pager& operator=(const Pager&) = delete;

  Result<SpaceId> add_space(UserFault faults, std::unique_ptr<PageAccess> access,
                            bool shared_memory);
  // It is not used any more, or has died.
  void remove_space(SpaceId space);
  // To be called now and then: removes the spaces whose processes have died, and lets what forked
  // ones had from the start count.
  void look_after_spaces();
  [[nodiscard]] std::size_t spaces() const;
  [[nodiscard]] bool has_space(SpaceId space) const;

  // What follows takes pages in and out of a space; one thread at a time for each space.

  // Pages memory that is mapped and was never touched.
  Status watch(SpaceId space, std::uint64_t begin, std::uint64_t pages);
  // Pages shared memory that may have content, on records that outlive this pager: zeros, or what a
  // pager before this one has left there. All of a pager's at once, before it watches any other.
  struct Kept {
    std::uint64_t begin = 0;
    std::shared_ptr<const Mapping> memory{};
    std::span<Page> pages{};  // in `memory`
  };
  Status resume(SpaceId space, std::span<const Kept> ranges);
  // Whether the daemon keeps the pages for the next pager when this one is destroyed.
  void leave(bool leaves) { store_->leave(leaves); }
  // nullptr: there is no daemon.
  [[nodiscard]] fallow_client* client() const { return store_->client(); }

  // Forgets those of these pages that are watched, as nobody uses them any more. False: none is.
  bool forget(SpaceId space, std::uint64_t begin, std::uint64_t pages);
  // Their content is not wanted any more: they read as zeros once their memory is given back, which
  // is the caller's to do afterwards. False: none is watched.
  bool discard(SpaceId space, std::uint64_t begin, std::uint64_t pages);
  // Brings these pages in and leaves them alone from then on, outside the limit. False: one of them
  // could not be had, and all are watched as before.
  bool let_go(SpaceId space, std::uint64_t begin, std::uint64_t pages);
  [[nodiscard]] bool watches(SpaceId space, std::uint64_t begin, std::uint64_t pages) const;

  // Brings everything in, whatever the limit, until release(). False: something could not be had.
  bool hold(SpaceId space);
  // False: it was not held.
  bool release(SpaceId space);

  // A process that was forked from one of a space that tells of forks has a space of its own, of
  // which no page leaves until it is given access: here, to the space in which `thread` faulted
  // last. What was in RAM when it was forked stays there, and is not counted until the process has
  // lived for a second: most end sooner, or become another program.
  std::optional<SpaceId> adopt_fork(std::uint32_t thread, std::unique_ptr<PageAccess> access);
  // Its userfaultfd, which stays the pager's. -1: there is no such space.
  [[nodiscard]] int descriptor(SpaceId space) const;

  // Takes effect at once for faults; what is too much leaves as fast as it can. kInvalid: too
  // small.
  Status set_ram_pages(std::uint64_t pages);

  [[nodiscard]] PagerStatistics statistics() const;

 private:
  struct Space;
  struct Handler;
  struct Victim;
  struct Moving;
  struct Removal;
  using SpacePtr = std::shared_ptr<Space>;
  using Lock = std::unique_lock<std::mutex>;

  explicit Pager(const PagerOptions& options);
  Status start();

  // Faults (pager_faults.cc).
  void answer_faults(PageLink& link);
  void answer(PageLink& link, Lock& lead, Space& space, const uffd_msg& message);
  void on_fork(const Space& parent, int descriptor);
  void on_write(Space& space, std::uint64_t address);
  void on_missing(PageLink& link, Lock& lead, Space& space, const uffd_msg& message);
  void on_present(Space& space, const uffd_msg& message);
  void let_write(Space& space, std::uint64_t address, Page& page);
  void on_removed(Space& space, std::uint64_t begin, std::uint64_t end);
  void look_again(Space& space, std::uint64_t address);
  struct Filling;
  bool take_room(Lock& lock, Lock& lead, const Space& space, Filling& filling);
  bool may_exchange(Lock& lock);
  bool add_ahead(Space& space, Filling& filling, std::uint64_t number);
  void plan(Space& space, Filling& filling);
  void bring(PageLink& link, Lock& lead, Filling& filling,
             const std::function<void(std::size_t)>& put_in_place);
  void install(Space& space, PageLink& link, Filling& filling, std::size_t count);
  void settle(Space& space, Filling& filling, std::size_t count);
  void refuse(Space& space, std::uint64_t address, std::uint32_t thread, const char* why);
  [[nodiscard]] bool protect_clean() const { return protect_rest_ == 0; }
  void judge_protection(bool written);

  // Evictions (pager_evictions.cc).
  void keep_room(PageLink& link);
  void look_at_use(Lock& lock, PageLink& link);
  void probe(Lock& lock, PageLink& link, std::uint64_t now_ns);
  bool add_victim(std::vector<Victim>& victims, const Resident& next, bool probe);
  std::vector<Victim> choose();
  void look_for_absent(std::vector<Victim>& victims);
  std::size_t drop_absent(std::vector<Victim>& victims);
  void freeze(std::vector<Victim>& victims, PageLink& link);
  template <typename Fits, typename Move>
  void move_victims(std::vector<Victim>& victims, PageLink& link, Fits fits, Move move);
  void save(Lock& lock, std::vector<Victim>& victims, PageLink& link);
  void give_file_slots(std::vector<Victim>& victims);
  void give_slot(Victim& victim, bool goes, std::vector<Slot>& freed);
  void drop(std::vector<Victim>& victims);
  static bool still_leaving(const Victim& victim);
  void flush_dead(Lock& lock, PageLink& link);
  std::size_t evict(Lock& lock, PageLink& link, std::vector<Victim> victims, bool& refused);
  [[nodiscard]] bool may_leave(const Space& space) const;
  static bool being_removed(const Space& space, std::uint64_t address);

  // Following the target (pager_targets.cc).
  void look_at_target(Lock& lock, PageLink& link);
  bool take_offer(const Page& page);
  bool demote(Lock& lock, PageLink& link);
  std::vector<Moving> choose_old(std::size_t most);
  bool look_through(const Space& space, std::vector<Moving>& found, std::size_t& looks,
                    std::size_t most);
  void drop_second_copies(std::vector<Moving>& moving);
  std::vector<bool> copy_to_file(const std::vector<Moving>& moving, PageLink& link);
  bool conclude_move(const Moving& one, bool there);

  [[nodiscard]] SpacePtr find_space(SpaceId id) const;
  void start_holding(Space& space);
  void count_all(Space& space);
  [[nodiscard]] static bool is_settled(const Page& page);
  void wait_settled(Lock& lock, const Page& page);
  void drop_content(Page& page);
  void drop_slot(Page& page);
  void take_over(Space& space, const Kept& range);
  bool look_around(Lock& lock, PageLink& link);
  void look_at_removed();
  void drop_given_back(Space& space, const Run& run);
  bool forget_pages(Lock& lock, Space& space, std::uint64_t begin, std::uint64_t pages);
  bool bring_in(Lock& lock, Space& space, std::uint64_t begin, std::uint64_t pages);
  void enqueue(Space& space, std::uint64_t address, Page& page);
  void stay(Space& space, std::uint64_t address, Page& page);
  void wake_if_wanted(Space& space, std::uint64_t address, Page& page);

  const PagerOptions options_;
  const SystemClock clock_;
  Mapping zeros_;  // as many pages as one fault brings in
  std::unique_ptr<FaultSource> source_;
  std::unique_ptr<PageStore> store_;
  std::mutex leading_;  // held by the handler that waits for the next fault
  // Shared: between putting a page where it belongs and saying so in the table. Exclusive: between
  // reading that a process was forked and copying the table.
  std::shared_mutex filling_;
  std::mutex bringing_;                 // guards own_link_
  std::unique_ptr<PageLink> own_link_;  // for what the callers of public functions bring in

  mutable std::mutex mutex_;           // guards what follows
  std::condition_variable room_made_;  // also: pages have settled
  std::condition_variable room_wanted_;
  std::map<SpaceId, SpacePtr> spaces_;
  SpaceId next_space_ = 0;
  Slots slots_;
  std::uint64_t ram_pages_;
  std::int64_t room_low_;  // with less room pages begin to leave
  ResidentQueue resident_;
  MemoryMonitor monitor_;
  std::int64_t room_;  // pages that may still come into RAM
  std::uint64_t resident_max_ = 0;
  std::uint64_t next_probes_ns_ = 0;
  std::uint64_t next_age_ns_ = 0;
  static constexpr std::uint64_t kReportPeriodNs = 100'000'000;
  std::uint64_t next_report_ns_ = 0;
  fallow_memory_report report_{};  // what monitor_ says of it, since it aged last
  std::uint32_t stamps_ = 0;
  std::uint64_t next_target_look_ns_ = 0;
  std::uint64_t offers_ = 0;  // pages that the daemon may be offered until it is asked again
  std::uint64_t excess_ = 0;  // frames that the client holds beyond its target
  std::uint64_t next_demotion_ns_ = 0;
  std::pair<SpaceId, std::uint64_t> hand_{0, 0};  // the page that is looked at next, by address
  bool stuck_ = false;      // nothing can leave RAM: daemon and backing file refuse
  bool exchanged_ = false;  // a page has come though there was no room: its slot can be had
  bool stopping_ = false;
  PagerStatistics counts_;
  std::uint32_t clean_ = 0;    // pages that were brought in protected, of late
  std::uint32_t written_ = 0;  // of these, written
  static constexpr std::uint32_t kProtectionRest = 8192;
  std::uint32_t protect_rest_ = 0;
  std::uint32_t protect_rest_next_ = kProtectionRest;

  Histogram latency_;
  std::vector<std::thread> threads_;
};

}  // namespace fallow::pager
