#include "pager/fault_source.h"

#include <immintrin.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace fallow::pager {
namespace {

constexpr std::uint64_t kStop = UINT64_MAX;
constexpr unsigned kInARowMost = 8;

bool watch_fd(int epoll, int fd, std::uint64_t data) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = data;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

Result<std::unique_ptr<FaultSource>> FaultSource::create(const Clock& clock) {
  std::unique_ptr<FaultSource> source(new FaultSource(clock));
  source->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  source->stop_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!source->epoll_.valid() || !source->stop_.valid() ||
      !watch_fd(source->epoll_.get(), source->stop_.get(), kStop)) {
    return failed_errno("cannot watch for faults", errno);
  }
  return source;
}

Status FaultSource::add(const UserFault& faults, std::uint32_t space) {
  const std::lock_guard lock(mutex_);
  spaces_[space] = &faults;
  if (!watch_fd(epoll_.get(), faults.fd(), space)) {
    spaces_.erase(space);
    return failed_errno("cannot watch for faults", errno);
  }
  return {};
}

void FaultSource::remove(const UserFault& faults) {
  const std::lock_guard lock(mutex_);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, faults.fd(), nullptr);
  std::erase_if(spaces_, [&faults](const auto& entry) { return entry.second == &faults; });
  last_ = last_ == &faults ? nullptr : last_;
}

bool FaultSource::look(uffd_msg& message, std::unique_lock<std::shared_mutex>& gate) {
  gate.lock();
  {
    const std::lock_guard lock(mutex_);
    if (last_ != nullptr && last_->read({&message, 1}) == 1) {
      return true;
    }
  }
  gate.unlock();
  return false;
}

bool FaultSource::next(uffd_msg& message, std::uint32_t& space,
                       std::unique_lock<std::shared_mutex>& gate) {
  // The one that spoke last must not be the only one that is heard.
  if (++in_a_row_ < kInARowMost || !others()) {
    const std::uint64_t until_ns = clock_.now_ns() + looking_.limit_ns();
    do {
      if (look(message, gate)) {
        looking_.found();
        space = last_space_;
        return true;
      }
      _mm_pause();
    } while (clock_.now_ns() < until_ns);
    looking_.missed();
  }
  in_a_row_ = 0;
  for (;;) {
    epoll_event event{};
    const int ready = ::epoll_wait(epoll_.get(), &event, 1, -1);
    if (ready <= 0) {
      continue;
    }
    if (event.data.u64 == kStop) {
      return false;
    }
    {
      const std::lock_guard lock(mutex_);
      const auto at = spaces_.find(static_cast<std::uint32_t>(event.data.u64));
      if (at == spaces_.end()) {
        continue;
      }
      last_ = at->second;
      last_space_ = at->first;
    }
    if (look(message, gate)) {
      space = last_space_;
      return true;
    }
  }
}

bool FaultSource::others() {
  const std::lock_guard lock(mutex_);
  return spaces_.size() > 1;
}

void FaultSource::stop() {
  const std::uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
}

}  // namespace fallow::pager
