#include "client/queue.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "client/failure.h"

namespace fallow::client {
namespace {

constexpr std::uint64_t kForEver = UINT64_MAX;
// A daemon that dies wakes nobody: so often a sleeper looks after the socket.
constexpr std::uint64_t kLookAfterSocketNs = 100'000'000;
constexpr unsigned kPollsToLookAfterSocket = 1024;
// Entries beside those of the program's asynchronous operations.
constexpr unsigned kSynchronous = 8;
constexpr std::size_t kChunksMax = 4;
constexpr unsigned kBatch = 32;
constexpr unsigned kIndexBits = 16;

static_assert(ring::kEntriesMax <= 1u << kIndexBits);

bool goes_out(ring::Opcode opcode) {
  return opcode == ring::Opcode::kPut || opcode == ring::Opcode::kWrite ||
         opcode == ring::Opcode::kReport;
}

bool comes_in(ring::Opcode opcode) {
  return opcode == ring::Opcode::kGet || opcode == ring::Opcode::kRead ||
         opcode == ring::Opcode::kStatistics;
}

bool names_pool(ring::Opcode opcode) {
  switch (opcode) {
    case ring::Opcode::kPut:
    case ring::Opcode::kGet:
    case ring::Opcode::kFlushPage:
    case ring::Opcode::kFlushObject:
    case ring::Opcode::kDestroyPool:
      return true;
    default:
      return false;
  }
}

std::uint64_t later(std::uint64_t now_ns, int timeout_ms) {
  return timeout_ms < 0 ? kForEver : now_ns + static_cast<std::uint64_t>(timeout_ms) * 1'000'000;
}

}  // namespace

int Queue::open(Client& client, unsigned depth, std::unique_ptr<Queue>& made) {
  const std::uint32_t entries = std::min(std::bit_ceil(depth + kSynchronous), ring::kEntriesMax);
  std::unique_ptr<Queue> queue(new Queue(client, depth, entries));
  if (const int error = queue->recover(kForEver); error != 0) {
    return error;
  }
  made = std::move(queue);
  return 0;
}

Queue::Queue(Client& client, unsigned depth, std::uint32_t entries)
    : client_(client), depth_(depth), entries_(entries), slots_(entries), ready_(entries) {
  free_.reserve(entries);
  for (std::uint32_t i = entries; i > 0; --i) {
    free_.push_back(static_cast<SlotIndex>(i - 1));
  }
}

Queue::~Queue() {
  if (producer_ != nullptr && client_.ours()) {
    client_.close_queue(*connection_, id_);
  }
  client_.release(pages_);
  for (const Chunk& chunk : chunks_) {
    client_.release(chunk.memory);
  }
}

int Queue::run(const Operation& operation, std::uint32_t* value) {
  Outcome outcome;
  if (const int error = begin(operation, outcome); error != 0) {
    return error;
  }
  const int result = await(outcome);
  if (value != nullptr) {
    *value = outcome.value;
  }
  return result;
}

int Queue::begin(const Operation& operation, Outcome& outcome) {
  for (;;) {
    const int error = enter(operation, &outcome, 0);
    if (error != -EAGAIN) {
      return error != 0 ? error : publish();
    }
    if (const int gone = progress(kForEver); gone != 0) {
      return gone;
    }
  }
}

int Queue::await(Outcome& outcome) {
  while (!outcome.done) {
    if (const int error = progress(kForEver); error != 0) {
      withdraw(outcome);
      return error;
    }
  }
  return judge(outcome.result);
}

int Queue::submit(const Operation& operation, std::uint64_t user_data) {
  if (asynchronous_ == depth_) {
    return fail(EAGAIN, "the queue is full: take completions first");
  }
  const int error = enter(operation, nullptr, user_data);
  asynchronous_ += error == 0;
  return error;
}

int Queue::publish() {
  if (producer_ != nullptr) {
    producer_->publish();
  }
  return 0;
}

int Queue::poll(fallow_completion* completions, unsigned max) {
  publish();
  drain();
  if (ready_count_ == 0 && asynchronous_ > 0) {
    const bool look = producer_ == nullptr || client_.changes() != view_.changes ||
                      ++idle_polls_ % kPollsToLookAfterSocket == 0;
    const int error = look ? progress(0) : 0;
    if (error != 0 && error != -EAGAIN) {
      return error;
    }
  }
  return static_cast<int>(hand_over(completions, max));
}

int Queue::wait(fallow_completion* completions, unsigned max, int timeout_ms) {
  publish();
  drain();
  if (ready_count_ > 0 || asynchronous_ == 0) {
    return static_cast<int>(hand_over(completions, max));
  }
  const std::uint64_t until_ns = later(client_.clock().now_ns(), timeout_ms);
  while (ready_count_ == 0) {
    if (const int error = progress(until_ns); error != 0) {
      return error;
    }
  }
  return static_cast<int>(hand_over(completions, max));
}

int Queue::open_pool(const PoolLabel& label, PoolHandle& handle) {
  Operation open;
  open.opcode = ring::Opcode::kOpenPool;
  open.index = label.kind;
  open.object = label.label;
  for (;;) {
    std::uint32_t pool = 0;
    if (const int error = run(open, &pool); error < 0) {
      return error;
    }
    if (const int error = client_.add_pool(connection_.get(), label, pool, handle);
        error != -EAGAIN) {
      return error;
    }
  }
}

int Queue::destroy_pool(PoolHandle handle) {
  Operation destroy;
  destroy.opcode = ring::Opcode::kDestroyPool;
  destroy.pool = handle;
  const auto pool = client_.pools().find(handle);
  const int result = run(destroy);
  // A daemon that has forgotten the pool has destroyed it, whichever of its lives it did it in.
  if (pool && (result >= 0 || result == -ESTALE)) {
    client_.remove_pool(handle, *pool);
    return 0;
  }
  return result;
}

// Whether the operation can be asked for at all.
int Queue::admit(const Operation& operation) {
  if (names_pool(operation.opcode) && !client_.pools().find(operation.pool)) {
    return judge(-ESTALE);
  }
  if (client_.disk_lost()) {
    return fail(ESTALE, "the daemon came back without what the disk held");
  }
  return 0;
}

// Puts the operation into a slot and, when the daemon is there, into the ring. -EAGAIN: no room.
int Queue::enter(const Operation& operation, Outcome* outcome, std::uint64_t user_data) {
  refresh();
  if (const int error = admit(operation); error != 0) {
    return error;
  }
  if (free_.empty()) {
    return fail(EAGAIN, "the queue is full: take completions first");
  }
  const SlotIndex index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot = {operation, nullptr, outcome, user_data, 0};
  int error = give_memory(slot, index);
  slot.sequence = ++sequence_;
  if (error == 0 && producer_ != nullptr) {
    ring::Submission entry;
    error = judge(make_entry(slot, index, entry));
    if (error == 0 && entry.token == 0 && operation.memory != nullptr) {
      // The region came while the daemon was going; the next one will know it.
      lose();
    } else if (error == 0) {
      producer_->push(entry);
    }
  }
  if (error != 0) {
    let_go(index);
  }
  return error;
}

// Memory that the daemon knows: the program's own, or a stand-in.
int Queue::give_memory(Slot& slot, SlotIndex index) {
  const Operation& operation = slot.operation;
  if (operation.length == 0 || operation.memory == nullptr ||
      find_region(operation.memory, operation.length) != nullptr) {
    return 0;
  }
  slot.bounce = bounce_for(index, operation.length);
  if (slot.bounce == nullptr) {
    const bool wait = operation.length > FALLOW_PAGE_SIZE && chunks_.size() == kChunksMax;
    return wait ? fail(EAGAIN, "all buffers are in use") : -errno;
  }
  if (goes_out(operation.opcode)) {
    std::memcpy(slot.bounce, operation.memory, operation.length);
  }
  refresh();  // the stand-in's region may be new
  return 0;
}

std::byte* Queue::bounce_for(SlotIndex index, std::uint32_t length) {
  if (length <= FALLOW_PAGE_SIZE) {
    pages_ =
        pages_ != nullptr ? pages_ : client_.allocate(std::size_t{entries_} * FALLOW_PAGE_SIZE);
    return pages_ != nullptr ? pages_ + std::size_t{index} * FALLOW_PAGE_SIZE : nullptr;
  }
  auto chunk =
      std::find_if(chunks_.begin(), chunks_.end(), [](const Chunk& one) { return !one.taken; });
  if (chunk == chunks_.end()) {
    if (chunks_.size() == kChunksMax) {
      return nullptr;
    }
    std::byte* memory = client_.allocate(ring::kTransferBytesMax);
    if (memory == nullptr) {
      return nullptr;
    }
    chunks_.push_back({memory, false});
    chunk = chunks_.end() - 1;
  }
  chunk->taken = true;
  return chunk->memory;
}

const RegionView* Queue::find_region(const void* memory, std::uint32_t length) const {
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  for (const RegionView& region : view_.regions) {
    const std::uintptr_t offset = at - reinterpret_cast<std::uintptr_t>(region.begin);
    if (offset < region.size && length <= region.size - offset) {
      return &region;
    }
  }
  return nullptr;
}

// As the daemon of now has to be told it. Negative: it cannot be.
int Queue::make_entry(const Slot& slot, SlotIndex index, ring::Submission& entry) const {
  const Operation& operation = slot.operation;
  entry = {};
  entry.opcode = operation.opcode;
  entry.user_data = slot.sequence << kIndexBits | index;
  entry.length = operation.length;
  entry.object = operation.object;
  entry.index = operation.index;
  if (names_pool(operation.opcode)) {
    const auto pool = client_.pools().find(operation.pool);
    if (!pool) {
      return -ESTALE;
    }
    entry.pool = *pool;
  }
  const void* memory = slot.bounce != nullptr ? slot.bounce : operation.memory;
  if (memory != nullptr) {
    const RegionView* region = find_region(memory, operation.length);
    if (region == nullptr) {
      return -EFAULT;
    }
    entry.token = region->token;
    entry.address =
        static_cast<std::uint64_t>(static_cast<const std::byte*>(memory) - region->begin);
  }
  return 0;
}

// Returns once an operation has been completed: 0. -EAGAIN: none was until `until_ns`.
int Queue::progress(std::uint64_t until_ns) {
  const std::uint64_t settled_before = settled_;
  for (;;) {
    refresh();
    const int error = producer_ == nullptr ? recover(until_ns) : 0;
    publish();
    drain();
    if (settled_ != settled_before) {
      return 0;
    }
    if (error != 0) {
      return error;
    }
    if (producer_ == nullptr) {
      continue;
    }
    const std::uint64_t now_ns = client_.clock().now_ns();
    const std::uint64_t left_ns = now_ns < until_ns ? until_ns - now_ns : 0;
    const auto woken = left_ns == 0 ? ring::Producer::Wait::kTimeout
                                    : producer_->wait(std::min(left_ns, kLookAfterSocketNs));
    if (woken == ring::Producer::Wait::kCompletion) {
      continue;
    }
    if (connection_->over()) {
      lose();
    } else if (left_ns <= kLookAfterSocketNs && client_.clock().now_ns() >= until_ns) {
      return fail(EAGAIN, "nothing was completed in time");
    }
  }
}

void Queue::drain() {
  ring::Completion batch[kBatch];
  while (producer_ != nullptr) {
    const int taken = producer_->take(batch, kBatch);
    const auto sound = [this](const ring::Completion& one) { return finish(one); };
    if (taken < 0 || !std::all_of(batch, batch + taken, sound)) {
      // Its queue makes no sense any more: the next connection will.
      connection_->end();
      producer_.reset();
    } else if (taken < static_cast<int>(kBatch)) {
      break;
    }
  }
}

// False: the daemon completed what it was never given.
bool Queue::finish(const ring::Completion& completion) {
  const std::uint64_t index = completion.user_data & ((1u << kIndexBits) - 1);
  if (index >= slots_.size() || slots_[index].sequence == 0 ||
      slots_[index].sequence != completion.user_data >> kIndexBits) {
    return false;
  }
  settle(static_cast<SlotIndex>(index), completion.result, completion.value);
  return true;
}

void Queue::settle(SlotIndex index, int result, std::uint32_t value) {
  Slot& slot = slots_[index];
  if (slot.bounce != nullptr) {
    if (result >= 0 && comes_in(slot.operation.opcode)) {
      std::memcpy(slot.operation.memory, slot.bounce, slot.operation.length);
    }
  }
  if (slot.outcome != nullptr) {
    *slot.outcome = {true, result, value};
  } else {
    ready_[(ready_first_ + ready_count_++) % ready_.size()] = {slot.user_data, result, value};
  }
  ++settled_;
  let_go(index);
}

void Queue::let_go(SlotIndex index) {
  for (Chunk& chunk : chunks_) {
    chunk.taken = chunk.taken && chunk.memory != slots_[index].bounce;
  }
  slots_[index].sequence = 0;
  free_.push_back(index);
}

// Whoever waited has given up, so nothing may be written into their memory any more.
void Queue::withdraw(const Outcome& outcome) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].sequence != 0 && slots_[i].outcome == &outcome) {
      settle(static_cast<SlotIndex>(i), -ENOTCONN, 0);
    }
  }
}

unsigned Queue::hand_over(fallow_completion* completions, unsigned max) {
  const auto count = static_cast<unsigned>(std::min<std::size_t>(max, ready_count_));
  for (unsigned i = 0; i < count; ++i) {
    completions[i] = ready_[ready_first_];
    ready_first_ = (ready_first_ + 1) % ready_.size();
  }
  ready_count_ -= count;
  asynchronous_ -= count;
  return count;
}

// Looks whether something has changed at the client's: regions, or the connection. A failure leaves
// the queue without a daemon, which progress() mends.
void Queue::refresh() {
  if (client_.changes() == view_.changes) {
    return;
  }
  view_ = client_.view();
  if (producer_ != nullptr && view_.connection != connection_) {
    lose();
    reopen();
  }
}

// Goes on with the daemon of now, or with the next one when there is none.
int Queue::recover(std::uint64_t until_ns) {
  lose();
  for (;;) {
    view_ = client_.view();
    if (view_.connection == connection_ || view_.connection->over()) {
      if (const int error = client_.restore(view_.connection.get(), until_ns); error != 0) {
        return error;
      }
      continue;
    }
    const int error = reopen();
    if (error == 0 || !view_.connection->over()) {
      return error;
    }
  }
}

// The daemon is gone; what it completed counts.
void Queue::lose() {
  drain();
  producer_.reset();
}

int Queue::reopen() {
  Connection::Queue queue;
  if (const int error = client_.open_queue(*view_.connection, entries_, queue); error != 0) {
    return error;
  }
  connection_ = view_.connection;
  id_ = queue.id;
  producer_ = std::move(queue.producer);
  resubmit();
  return 0;
}

void Queue::resubmit() {
  std::vector<SlotIndex> unfinished;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].sequence != 0) {
      unfinished.push_back(static_cast<SlotIndex>(i));
    }
  }
  std::sort(unfinished.begin(), unfinished.end(),
            [this](SlotIndex a, SlotIndex b) { return slots_[a].sequence < slots_[b].sequence; });
  for (const SlotIndex index : unfinished) {
    ring::Submission entry;
    const int error = client_.disk_lost() ? -ESTALE : make_entry(slots_[index], index, entry);
    if (error != 0) {
      settle(index, error, 0);
    } else {
      producer_->push(entry);
    }
  }
  publish();
}

}  // namespace fallow::client
