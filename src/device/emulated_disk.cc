#include "device/emulated_disk.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace fallow {

Result<std::unique_ptr<EmulatedDisk>> EmulatedDisk::create(std::unique_ptr<BackingStore> below,
                                                           const DiskSpeed& speed,
                                                           const Clock& clock) {
  std::unique_ptr<EmulatedDisk> disk(new EmulatedDisk(speed, clock));
  disk->below_ = std::move(below);
  FALLOW_TRY(disk->start());
  return disk;
}

Status EmulatedDisk::start() {
  for (Held& held : all_) {
    held.disk = this;
    free_.push_back(&held);
  }
  timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  events_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!timer_.valid() || !events_.valid()) {
    return failed_errno("cannot make a timer for an emulated disk", errno);
  }
  FALLOW_TRY(watch(timer_.get()));
  return below_->event_fd() >= 0 ? watch(below_->event_fd()) : Status();
}

Status EmulatedDisk::watch(int fd) const {
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return failed_errno("cannot wait for an emulated disk", errno);
  }
  return {};
}

// What is not moved takes no time, but is not done before what was.
std::uint64_t EmulatedDisk::due_ns(const BackingIo& io) {
  const std::uint64_t now_ns = clock_.now_ns();
  switch (io.kind) {
    case BackingIo::Kind::kRead:
    case BackingIo::Kind::kWrite:
      last_due_ns_ = std::max(last_due_ns_, model_.done_ns(now_ns, io.offset, io.length));
      return last_due_ns_;
    case BackingIo::Kind::kSync:
      return std::max(last_due_ns_, now_ns);
    case BackingIo::Kind::kPunch:
      break;
  }
  return now_ns;
}

void EmulatedDisk::submit(BackingIo* io) {
  CHECK(!free_.empty());  // at most kDepthMax are under way
  Held* held = free_.back();
  free_.pop_back();
  static_cast<BackingIo&>(*held) = *io;
  held->done = on_done;
  held->whose = io;
  held->due_ns = due_ns(*io);
  below_->submit(held);
}

void EmulatedDisk::on_done(BackingIo* io, int error) {
  Held* held = static_cast<Held*>(io);
  held->error = error;
  held->disk->ended_.push_back(held);
}

std::uint64_t EmulatedDisk::earliest_ns() const {
  return (*std::min_element(ended_.begin(), ended_.end(),
                            [](const Held* a, const Held* b) { return a->due_ns < b->due_ns; }))
      ->due_ns;
}

void EmulatedDisk::poll() {
  std::uint64_t expirations = 0;
  [[maybe_unused]] const ssize_t drained = ::read(timer_.get(), &expirations, sizeof expirations);
  below_->poll();
  hand_out();
  set_timer();
}

void EmulatedDisk::wait() {
  if (ended_.empty()) {
    below_->wait();
  }
  clock_.sleep_until_ns(earliest_ns());
  poll();
}

// In the order in which they are due. Whoever is told may submit more.
void EmulatedDisk::hand_out() {
  const std::uint64_t now_ns = clock_.now_ns();
  const auto waits = [now_ns](const Held* held) { return held->due_ns > now_ns; };
  const auto due = std::stable_partition(ended_.begin(), ended_.end(), waits);
  std::vector<Held*> told(due, ended_.end());
  ended_.erase(due, ended_.end());
  std::stable_sort(told.begin(), told.end(),
                   [](const Held* a, const Held* b) { return a->due_ns < b->due_ns; });
  for (Held* held : told) {
    BackingIo* io = held->whose;
    const int error = held->error;
    free_.push_back(held);
    io->done(io, error);
  }
}

void EmulatedDisk::set_timer() const {
  if (ended_.empty()) {
    return;
  }
  const std::uint64_t due_ns = earliest_ns();
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(due_ns / 1'000'000'000);
  when.it_value.tv_nsec = std::max<long>(static_cast<long>(due_ns % 1'000'000'000), 1);
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

}  // namespace fallow
