#include "client/client.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

#include "client/failure.h"

namespace fallow::client {
namespace {

constexpr std::size_t kFirstRegionBytes = 16u << 20;
constexpr std::size_t kGrowthMaxBytes = 1u << 30;

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kShortestPauseNs = 1 * kMillisecond;
constexpr std::uint64_t kLongestPauseNs = 50 * kMillisecond;
// A daemon that has just come up has more to do than to greet us.
constexpr std::uint64_t kShortestGreetingNs = 100 * kMillisecond;

// How long the daemon may take to notice that a process has ended.
constexpr std::uint64_t kPartingNs = 1000 * kMillisecond;

// Entries of the queue that opens pools again.
constexpr std::uint32_t kHandful = ring::kEntriesMin;

void pause_ns(std::uint64_t ns) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
  time.tv_nsec = static_cast<long>(ns % 1'000'000'000);
  ::nanosleep(&time, nullptr);
}

// A page with a mark in it that a forked child does not see.
volatile std::uint32_t* make_fork_mark() {
  void* page =
      ::mmap(nullptr, Region::kGrain, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return nullptr;
  }
  ::madvise(page, Region::kGrain, MADV_WIPEONFORK);
  auto* mark = static_cast<volatile std::uint32_t*>(page);
  *mark = 1;
  return mark;
}

}  // namespace

Client::Client(Options options) : options_(std::move(options)), fork_mark_(make_fork_mark()) {}

int Client::connect(Options options, std::unique_ptr<Client>& made) {
  std::unique_ptr<Client> client(new Client(std::move(options)));
  if (client->fork_mark_ == nullptr) {
    return fail(ENOMEM, "no memory for another client");
  }
  if (const int error = client->first_connection(); error != 0) {
    return error;
  }
  const ring::Welcome& welcome = client->connection_->welcome();
  client->resumed_ = welcome.resumed != 0;
  client->disk_bytes_ = welcome.disk_bytes;
  client->disk_block_bytes_ = welcome.disk_block_bytes;
  client->options_.target.secret = welcome.secret;
  made = std::move(client);
  return 0;
}

// Who comes back at once may find the daemon still busy with the end of the connection before.
int Client::first_connection() {
  const Connection::Patience patience{options_.reconnect_ns, options_.reconnect_ns};
  const std::uint64_t until_ns = clock_.now_ns() + std::min(options_.reconnect_ns, kPartingNs);
  int error = 0;
  while ((error = Connection::dial(options_.target, patience, clock_, connection_)) == -EBUSY &&
         options_.target.secret != ring::Secret{} && clock_.now_ns() < until_ns) {
    pause_ns(kShortestPauseNs);
  }
  if (error != 0 || has_disk()) {
    return error;
  }
  // Also when none shall wait any more, as the process before may have asked for it.
  if (keeps_pages() || connection_->welcome().resumed != 0) {
    error = connection_->keep(options_.keep_seconds);
  }
  if (error != 0) {
    connection_->end();  // without goodbye: what was there goes on waiting
  }
  return error;
}

void Client::end() {
  const std::lock_guard lock(mutex_);
  // In a forked child the connection is its parent's to end.
  if (connection_ != nullptr && ours()) {
    if (!connection_->over()) {
      connection_->goodbye();
    }
    connection_->end();
  }
}

void Client::leave() {
  const std::lock_guard lock(mutex_);
  connection_->end();
}

ring::Secret Client::secret() {
  const std::lock_guard lock(mutex_);
  return options_.target.secret;
}

Client::~Client() {
  if (fork_mark_ != nullptr) {
    end();
    ::munmap(const_cast<std::uint32_t*>(fork_mark_), Region::kGrain);
  }
}

View Client::view() {
  const std::lock_guard lock(mutex_);
  View view{changes_.load(), connection_, {}};
  view.regions.reserve(regions_.size());
  for (const auto& region : regions_) {
    view.regions.push_back({region->begin(), region->size(), region->token});
  }
  return view;
}

int Client::restore(const Connection* lost, std::uint64_t until_ns) {
  std::unique_lock lock(mutex_);
  std::uint64_t now_ns = clock_.now_ns();
  if (connection_.get() == lost && away_since_ns_ == 0) {
    away_since_ns_ = now_ns;
    connection_->end();
  }
  for (std::uint64_t pause = kShortestPauseNs; connection_.get() == lost;
       pause = std::min(2 * pause, kLongestPauseNs)) {
    const std::uint64_t given_up_ns = away_since_ns_ + options_.reconnect_ns;
    const std::uint64_t last_ns = std::min(until_ns, given_up_ns);
    const std::uint64_t left_ns = now_ns < last_ns ? last_ns - now_ns : 0;
    if (attempt(std::max(left_ns, kShortestGreetingNs)) == 0) {
      break;
    }
    now_ns = clock_.now_ns();
    if (now_ns >= given_up_ns) {
      return fail(ENOTCONN, "the daemon has been away for " +
                                std::to_string((now_ns - away_since_ns_) / kMillisecond) +
                                " ms: " + last_failure());
    }
    if (now_ns >= until_ns) {
      return fail(EAGAIN, "the daemon is away, and did not come back in time");
    }
    lock.unlock();
    pause_ns(std::min(pause, last_ns - std::min(now_ns, last_ns)));
    lock.lock();
    now_ns = clock_.now_ns();
  }
  return 0;
}

// One new connection with everything on it that was on the old one, or none.
int Client::attempt(std::uint64_t greeting_ns) {
  std::shared_ptr<Connection> fresh;
  const Connection::Patience patience{greeting_ns, options_.reconnect_ns};
  if (const int error = Connection::dial(options_.target, patience, clock_, fresh); error != 0) {
    return error;
  }
  if (keeps_pages()) {
    if (const int error = fresh->keep(options_.keep_seconds); error != 0) {
      return error;
    }
  }
  std::vector<std::uint32_t> tokens;
  if (const int error = register_regions(*fresh, tokens); error != 0) {
    return error;
  }
  const ring::Welcome& welcome = fresh->welcome();
  // A disk may have grown meanwhile.
  const bool resumed = welcome.resumed != 0 && welcome.disk_bytes >= disk_bytes_;
  if (!resumed) {
    pools_.remove_all();
    disk_lost_.store(has_disk());
  } else if (const int error = reopen_pools(*fresh); error != 0) {
    return error;
  }
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    regions_[i]->token = tokens[i];
  }
  connection_ = std::move(fresh);
  options_.target.secret = welcome.secret;
  disk_bytes_ = disk_lost_ ? disk_bytes_.load() : welcome.disk_bytes;
  away_since_ns_ = 0;
  change();
  return 0;
}

int Client::register_regions(Connection& connection, std::vector<std::uint32_t>& tokens) {
  for (const auto& region : regions_) {
    std::uint32_t token = 0;
    if (const int error = connection.register_region(region->file(), region->size(), token);
        error != 0) {
      return error;
    }
    tokens.push_back(token);
  }
  return 0;
}

int Client::reopen_pools(Connection& connection) {
  const std::vector<PoolTable::Live> live = pools_.live();
  if (live.empty()) {
    return 0;
  }
  Connection::Queue queue;
  if (const int error = connection.open_queue(kHandful, queue); error != 0) {
    return error;
  }
  for (const auto& [handle, label] : live) {
    ring::Submission open{};
    open.opcode = ring::Opcode::kOpenPool;
    open.index = label.kind;
    open.object = label.label;
    queue.producer->push(open);
    queue.producer->publish();
    ring::Completion completion{};
    int taken = 0;
    while ((taken = queue.producer->take(&completion, 1)) == 0 && !connection.over()) {
      queue.producer->wait(100 * kMillisecond);
    }
    if (taken != 1) {
      return fail(ENOTCONN, "the daemon went while a pool was opened again");
    }
    if (completion.result < 0) {
      return judge(completion.result);
    }
    pools_.renumber(handle, completion.value);
  }
  return connection.close_queue(queue.id);
}

std::byte* Client::allocate(std::size_t bytes) {
  if (bytes > ring::kRegionBytesMax) {
    errno = -fail(ENOMEM, "a region has at most 64 GiB");
    return nullptr;
  }
  const std::lock_guard lock(mutex_);
  for (;;) {
    for (const auto& region : regions_) {
      if (std::byte* memory = region->allocate(bytes)) {
        return memory;
      }
    }
    if (const int error = add_region(bytes); error != 0) {
      errno = -error;
      return nullptr;
    }
  }
}

// Makes and registers a region with room for `bytes`, larger than the last one.
int Client::add_region(std::size_t bytes) {
  const std::size_t last = regions_.empty() ? kFirstRegionBytes / 2 : regions_.back()->size();
  const std::size_t wanted = std::max(bytes, std::min(2 * last, kGrowthMaxBytes));
  std::unique_ptr<Region> region = Region::create(wanted);
  if (region == nullptr) {
    return fail(errno, "no memory for a region of " + std::to_string(wanted) + " bytes");
  }
  const int error = connection_->register_region(region->file(), region->size(), region->token);
  // While the daemon is away, the region waits for the next one with all the others.
  if (error != 0 && !connection_->over()) {
    return error;
  }
  regions_.push_back(std::move(region));
  change();
  return 0;
}

void Client::release(void* memory) {
  if (memory == nullptr) {
    return;
  }
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    if (regions_[i]->release(static_cast<std::byte*>(memory))) {
      drop_unused_region(i);
      return;
    }
  }
}

// The last region stays: whoever frees may well allocate again.
void Client::drop_unused_region(std::size_t index) {
  if (!regions_[index]->unused() || regions_.size() == 1 || !ours()) {
    return;
  }
  const std::unique_ptr<Region> region = std::move(regions_[index]);
  regions_.erase(regions_.begin() + static_cast<std::ptrdiff_t>(index));
  // Before the addresses can mean something else.
  change();
  // A connection that is over has forgotten it anyway.
  connection_->unregister_region(region->token);
}

int Client::open_queue(Connection& connection, std::uint32_t entries, Connection::Queue& queue) {
  const std::lock_guard lock(mutex_);
  return connection.open_queue(entries, queue);
}

void Client::close_queue(Connection& connection, std::uint32_t id) {
  const std::lock_guard lock(mutex_);
  if (!connection.over()) {
    connection.close_queue(id);
  }
}

int Client::add_pool(const Connection* connection, const PoolLabel& label, std::uint32_t pool,
                     PoolHandle& handle) {
  const std::lock_guard lock(mutex_);
  if (connection != connection_.get()) {
    return fail(EAGAIN, "the daemon went while a pool was opened");
  }
  const auto added = pools_.add(label, pool);
  if (!added) {
    return fail(ENOMEM,
                "a client has at most " + std::to_string(PoolTable::kPoolsMax) + " pools open");
  }
  handle = *added;
  return 0;
}

void Client::remove_pool(PoolHandle handle, std::uint32_t pool) {
  const std::lock_guard lock(mutex_);
  pools_.remove(handle, pool);
}

}  // namespace fallow::client
