// libfallow_run.so, loaded into a program under `fallow run`: its large anonymous mappings are
// handed to the pager, and what the program does to them later is told to the pager first.
//
// It is called by the program's malloc, in signal handlers and between fork and exec, so it takes
// no memory from libc, keeps signals out while it talks, and uses the kernel directly. Nothing in
// here may be paged: static memory, and the stack of whoever calls.
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "run/protocol.h"
#include "run/system_calls.h"

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

namespace fallow::run {
namespace {

constexpr long kPage = 4096;
// Beyond the numbers that programs take for themselves.
constexpr int kDescriptorsFrom = 900;

struct State {
  std::atomic<bool> active{false};      // the pager is told of what is done to its memory
  std::atomic<bool> takes_more{false};  // new mappings are handed over
  std::atomic<std::uint32_t> lock{0};
  int pid = 0;
  int pager = 0;  // its process id, as this one sees it; 0: not at all
  int socket = -1;
  ino_t socket_number = 0;
  int faults = -1;
  bool forks_are_told = false;
  char path[sizeof(sockaddr_un::sun_path)] = {};
  DropBoard* board = nullptr;
  char* probe = nullptr;  // a page that is touched by forked processes only
};
State state;
alignas(64) char dropper_stack[16 << 10];

// errno of the caller stays as it was unless a hook sets it.
long fail(long error) {
  errno = static_cast<int>(-error);
  return -1;
}

template <typename Type = long>
Type answer(long result) {
  return result < 0 && result > -4096 ? Type(fail(result)) : Type(result);
}

void say(const char* text) {
  system_call(SYS_write, 2, word(text), static_cast<long>(std::strlen(text)));
}

// Memory that has lost its pager must never be read: it would be zeros.
[[noreturn]] void die(const char* why) {
  say("fallow run: ");
  say(why);
  say("; the program is ended, as its memory cannot be had\n");
  for (;;) {
    system_call(SYS_kill, system_call(SYS_getpid), SIGKILL);
  }
}

// --- The thread that drops pages. It has no memory of its own in libc's eyes: no errno, no TLS.

[[noreturn]] void drop_pages() {
  DropBoard& board = *state.board;
  for (;;) {
    std::uint32_t asked = DropBoard::kAsked;
    if (board.state.compare_exchange_strong(asked, DropBoard::kRunning)) {
      for (std::uint32_t i = 0; i < board.count && i < DropBoard::kRunsMost; ++i) {
        system_call(SYS_madvise, static_cast<long>(board.runs[i].begin),
                    static_cast<long>(board.runs[i].bytes), MADV_DONTNEED);
      }
      board.state.store(DropBoard::kDone);
      system_call(SYS_futex, word(&board.state), FUTEX_WAKE, 1);
      continue;
    }
    const timespec pause{1, 0};
    const long waited = system_call(SYS_futex, word(&board.state), FUTEX_WAIT, asked, word(&pause));
    if (waited == -ETIMEDOUT && state.pager != 0 &&
        system_call(SYS_kill, state.pager, 0) == -ESRCH) {
      die("the pager has died");
    }
  }
}

long start_thread(void (*run)(), void* stack_end) {
  constexpr long kFlags =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  long result = 0;
  register void (*entry)() asm("r12") = run;
  register long r10 asm("r10") = 0;
  register long r8 asm("r8") = 0;
  asm volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "xor %%ebp, %%ebp\n"
      "call *%[entry]\n"
      "1:\n"
      : "=a"(result)
      : "a"(SYS_clone), "D"(kFlags), "S"(stack_end), "d"(0L), "r"(r10), "r"(r8), [entry] "r"(entry)
      : "rcx", "r11", "memory");
  return result;
}

// --- Talking to the pager.

class NoSignals {
 public:
  NoSignals() {
    const std::uint64_t all = ~std::uint64_t{0};
    system_call(SYS_rt_sigprocmask, SIG_SETMASK, word(&all), word(&before_), sizeof before_);
  }
  ~NoSignals() { system_call(SYS_rt_sigprocmask, SIG_SETMASK, word(&before_), 0, sizeof before_); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  std::uint64_t before_ = 0;
};

class Alone {
 public:
  Alone() {
    std::uint32_t free = 0;
    if (!state.lock.compare_exchange_strong(free, 1)) {
      while (state.lock.exchange(2) != 0) {
        system_call(SYS_futex, word(&state.lock), FUTEX_WAIT_PRIVATE, 2);
      }
    }
  }
  ~Alone() {
    if (state.lock.exchange(0) == 2) {
      system_call(SYS_futex, word(&state.lock), FUTEX_WAKE_PRIVATE, 1);
    }
  }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;
};

int to_high_number(long fd) {
  if (fd < 0) {
    return static_cast<int>(fd);
  }
  for (long from = kDescriptorsFrom; from >= 100; from /= 3) {
    const long high = system_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from);
    if (high >= 0) {
      system_call(SYS_close, fd);
      return static_cast<int>(high);
    }
  }
  return static_cast<int>(fd);
}

long inode_of(int fd, ino_t& number) {
  struct stat about {};
  const long error = system_call(SYS_fstat, fd, word(&about));
  number = about.st_ino;
  return error;
}

// Sends a request, with up to two descriptors, and takes the answer, with up to one.
long exchange(const Request& request, const int* give, std::size_t gives, int* take) {
  iovec out{const_cast<Request*>(&request), sizeof request};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &out;
  message.msg_iovlen = 1;
  if (gives > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(gives * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(gives * sizeof(int));
    std::memcpy(CMSG_DATA(header), give, gives * sizeof(int));
  }
  long done = system_call(SYS_sendmsg, state.socket, word(&message), MSG_NOSIGNAL);
  if (done < 0) {
    return done;
  }
  Reply reply{};
  iovec in{&reply, sizeof reply};
  message = {};
  message.msg_iov = &in;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  done = system_call(SYS_recvmsg, state.socket, word(&message), MSG_CMSG_CLOEXEC);
  if (done != sizeof reply) {
    return done < 0 ? done : -EPIPE;
  }
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (take != nullptr && header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    std::memcpy(take, CMSG_DATA(header), sizeof(int));
  }
  return reply.result;
}

long connect_to_pager() {
  state.socket = to_high_number(system_call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (state.socket < 0) {
    return state.socket;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, state.path, sizeof address.sun_path);
  const long error = system_call(SYS_connect, state.socket, word(&address), sizeof address);
  if (error != 0) {
    system_call(SYS_close, state.socket);
    return error;
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  system_call(SYS_getsockopt, state.socket, SOL_SOCKET, SO_PEERCRED, word(&peer), word(&size));
  state.pager = peer.pid;
  return inode_of(state.socket, state.socket_number);
}

std::uint32_t this_thread() {
  return static_cast<std::uint32_t>(system_call(SYS_gettid));
}

// Programs close descriptors that they do not know, and open others under their numbers.
void mend_socket() {
  ino_t number = 0;
  if (inode_of(state.socket, number) == 0 && number == state.socket_number) {
    return;
  }
  const Request again{Operation::kAgain, this_thread(), 0, 0};
  if (connect_to_pager() != 0 || exchange(again, nullptr, 0, nullptr) != 0) {
    die("the pager cannot be reached any more");
  }
}

long ask(Operation operation, const void* begin = nullptr, std::size_t bytes = 0) {
  const NoSignals quiet;
  const Alone alone;
  mend_socket();
  const auto from = reinterpret_cast<std::uint64_t>(begin);
  const Request request{operation, this_thread(), from, (bytes + kPage - 1) / kPage * kPage};
  const long result = exchange(request, nullptr, 0, nullptr);
  if (result == -EPIPE || result == -ECONNRESET || result == -ENOTCONN) {
    die("the pager has gone");
  }
  return result;
}

// --- Beginning, and beginning again in a forked process.

long map(long bytes, long flags, long fd) {
  return system_call(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
}

int make_board() {
  const int fd = static_cast<int>(
      system_call(SYS_memfd_create, word("fallow-drops"), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (fd < 0 || system_call(SYS_ftruncate, fd, kPage) != 0) {
    return -1;
  }
  const long at = map(kPage, MAP_SHARED, fd);
  if (at < 0 && at > -4096) {
    return -1;
  }
  state.board = reinterpret_cast<DropBoard*>(at);
  return fd;
}

bool start_dropper() {
  const NoSignals quiet;  // the thread is to have none, ever
  return start_thread(drop_pages, dropper_stack + sizeof dropper_stack) > 0;
}

// A descriptor that tells of forks, which takes the right to trace other processes; else one that
// does not.
int open_faults(bool& forks_are_told) {
  constexpr std::uint64_t kFeatures = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_THREAD_ID;
  constexpr long kFlags = O_CLOEXEC | O_NONBLOCK;
  for (const bool forks : {true, false}) {
    const long device =
        system_call(SYS_openat, AT_FDCWD, word("/dev/userfaultfd"), O_RDWR | O_CLOEXEC);
    long fd = device >= 0 ? system_call(SYS_ioctl, device, USERFAULTFD_IOC_NEW, kFlags) : device;
    if (device >= 0) {
      system_call(SYS_close, device);
    }
    fd = fd >= 0 ? fd : system_call(SYS_userfaultfd, kFlags);
    if (fd < 0) {
      return -1;
    }
    uffdio_api api{};
    api.api = UFFD_API;
    api.features = kFeatures | (forks ? UFFD_FEATURE_EVENT_FORK : 0);
    if (system_call(SYS_ioctl, fd, static_cast<long>(UFFDIO_API), word(&api)) == 0) {
      forks_are_told = forks;
      return to_high_number(fd);
    }
    system_call(SYS_close, fd);
  }
  return -1;
}

void see_pager() {
  state.pid = static_cast<int>(system_call(SYS_getpid));
  if (state.pager != 0 && system_call(SYS_kill, state.pager, 0) == -ESRCH) {
    state.pager = 0;  // it is in another namespace
  }
}

bool make_probe() {
  const long at = map(kPage, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  state.probe = reinterpret_cast<char*>(at);
  system_call(SYS_munlock, at, kPage);  // a process that locks all that it maps has touched it
  system_call(SYS_madvise, at, kPage, MADV_DONTNEED);
  return (at >= 0 || at <= -4096) && ask(Operation::kWatch, state.probe, kPage) == 0;
}

void leave_alone(const char* why) {
  say("fallow run: ");
  say(why);
  say("; this process is not paged\n");
}

// A program's beginning: a userfaultfd of its own, and nothing that is paged yet.
void begin() {
  state.faults = open_faults(state.forks_are_told);
  if (state.faults < 0) {
    leave_alone("userfaultfd is not allowed");
    return;
  }
  const int board = make_board();
  const int give[] = {state.faults, board};
  const Request request{Operation::kStart, this_thread(), 0, 0};
  const bool accepted =
      board >= 0 && connect_to_pager() == 0 && exchange(request, give, 2, nullptr) == 0;
  system_call(SYS_close, board);
  see_pager();
  if (!accepted || !start_dropper()) {
    leave_alone("the pager did not answer");
    return;
  }
  if (!make_probe()) {
    leave_alone("the pager takes no memory");
    return;
  }
  state.active = true;
  state.takes_more = true;
}

void before_fork() {
  if (state.active && !state.forks_are_told && ask(Operation::kHold) != 0) {
    say("fallow run: not all memory could be brought in for a fork\n");
    die("its child would miss some");
  }
}

void after_fork() {
  if (state.active && !state.forks_are_told) {
    ask(Operation::kRelease);
  }
}

// The kernel has given the forked process a userfaultfd like its parent's, which the pager holds.
// The pager is told which it is by a fault that only this process can have.
void continue_forked() {
  const int board = make_board();
  *const_cast<volatile char*>(state.probe);
  const Request request{Operation::kForked, this_thread(), 0, 0};
  if (board < 0 || connect_to_pager() != 0 || exchange(request, &board, 1, &state.faults) != 0) {
    die("the pager does not know a forked process");
  }
  system_call(SYS_close, board);
  state.faults = to_high_number(state.faults);
  see_pager();
  if (!start_dropper()) {
    die("a forked process has no thread to drop pages");
  }
  ask(Operation::kDiscard, state.probe, kPage);
  system_call(SYS_madvise, word(state.probe), kPage, MADV_DONTNEED);
}

void in_child() {
  if (!state.active) {
    return;
  }
  const bool told = state.forks_are_told;
  state.lock = 0;
  system_call(SYS_munmap, word(state.board), kPage);
  system_call(SYS_close, state.socket);
  system_call(SYS_close, state.faults);
  if (told) {
    continue_forked();
  } else {
    // What was mapped before the fork is ordinary memory here.
    state.active = false;
    state.takes_more = false;
    begin();
  }
}

// Hooks are called before this, and memory that is mapped then is left alone.
__attribute__((constructor)) void start() {
  const char* path = getenv(kSocketVariable);
  if (path == nullptr || std::strlen(path) >= sizeof state.path) {
    return;
  }
  std::memcpy(state.path, path, std::strlen(path));
  pthread_atfork(before_fork, after_fork, in_child);
  begin();
}

// --- What the hooks share.

// Not in a process that was forked behind libc's back.
bool pages() {
  return state.active.load(std::memory_order_relaxed) && system_call(SYS_getpid) == state.pid;
}

bool aligned(const void* address) {
  return word(address) % kPage == 0;
}

bool can_be_paged(std::size_t bytes, int protection, int flags) {
  constexpr int kWanted = MAP_PRIVATE | MAP_ANONYMOUS;
  constexpr int kOthers = MAP_GROWSDOWN | MAP_STACK | MAP_HUGETLB | MAP_LOCKED | MAP_32BIT;
  return (flags & (MAP_TYPE | MAP_ANONYMOUS)) == kWanted && (flags & kOthers) == 0 &&
         (protection & PROT_EXEC) == 0 && bytes >= kBytesLeast;
}

// What was forgotten because it was about to go has to go.
void must(bool forgotten, long result) {
  if (forgotten && result < 0 && result > -4096) {
    die("a mapping that was to be replaced could not be");
  }
}

long map_memory(void* address, std::size_t bytes, int protection, int flags, int fd, long offset) {
  const bool ours = pages();
  const bool paged = ours && state.takes_more && can_be_paged(bytes, protection, flags);
  const bool replaces = ours && (flags & MAP_FIXED) != 0 && (flags & MAP_FIXED_NOREPLACE) == 0 &&
                        aligned(address) && bytes > 0;
  const bool forgotten = replaces && ask(Operation::kForget, address, bytes) > 0;
  const long at = system_call(SYS_mmap, word(address), static_cast<long>(bytes), protection,
                              paged ? flags & ~MAP_POPULATE : flags, fd, offset);
  must(forgotten, at);
  if (paged && (at >= 0 || at <= -4096)) {
    // A kernel without huge pages refuses this, and one that has them is to leave them.
    system_call(SYS_madvise, at, static_cast<long>(bytes), MADV_NOHUGEPAGE);
    ask(Operation::kWatch, reinterpret_cast<void*>(at), bytes);  // else it is left alone
  }
  return at;
}

long unmap_memory(void* address, std::size_t bytes) {
  const bool forgotten =
      pages() && aligned(address) && bytes > 0 && ask(Operation::kForget, address, bytes) > 0;
  const long result = system_call(SYS_munmap, word(address), static_cast<long>(bytes));
  must(forgotten, result);
  return result;
}

// Paged memory does not move with what the kernel knows of it: its content is copied.
long move_paged(char* from, std::size_t bytes, std::size_t wanted, int flags, void* to) {
  if ((flags & MREMAP_DONTUNMAP) != 0) {
    return -EINVAL;
  }
  if ((flags & MREMAP_FIXED) == 0 && wanted <= bytes) {
    const std::size_t keep = (wanted + kPage - 1) / kPage * kPage;
    const long result = keep < bytes ? unmap_memory(from + keep, bytes - keep) : 0;
    return result < 0 ? result : word(from);
  }
  if ((flags & MREMAP_MAYMOVE) == 0) {
    return -ENOMEM;
  }
  const int fixed = (flags & MREMAP_FIXED) != 0 ? MAP_FIXED : 0;
  const long at = map_memory(to, wanted, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
  if (at < 0 && at > -4096) {
    return at;
  }
  std::memcpy(reinterpret_cast<void*>(at), from, bytes < wanted ? bytes : wanted);
  unmap_memory(from, bytes);
  return at;
}

long remap_memory(void* from, std::size_t bytes, std::size_t wanted, int flags, void* to) {
  if (pages() && aligned(from) && wanted > 0) {
    if (bytes > 0 && ask(Operation::kWatches, from, bytes) > 0) {
      return move_paged(static_cast<char*>(from), (bytes + kPage - 1) / kPage * kPage, wanted,
                        flags, to);
    }
    if ((flags & MREMAP_FIXED) != 0 && aligned(to) && ask(Operation::kForget, to, wanted) > 0) {
      const long moved = system_call(SYS_mremap, word(from), static_cast<long>(bytes),
                                     static_cast<long>(wanted), flags, word(to));
      must(true, moved);
      return moved;
    }
  }
  return system_call(SYS_mremap, word(from), static_cast<long>(bytes), static_cast<long>(wanted),
                     flags, word(to));
}

long advise(void* address, std::size_t bytes, int advice) {
  constexpr int kDontneedLocked = 24;
  constexpr int kCollapse = 25;
  if (pages() && aligned(address) && bytes > 0) {
    switch (advice) {
      case MADV_DONTNEED:
      case MADV_FREE:
      case kDontneedLocked:
        if (ask(Operation::kDiscard, address, bytes) > 0) {
          advice = MADV_DONTNEED;  // at once, as the pager has forgotten its content
        }
        break;
      case MADV_DONTFORK:
      case MADV_WIPEONFORK:
      case MADV_MERGEABLE:
        if (ask(Operation::kLetGo, address, bytes) < 0) {
          return -ENOMEM;
        }
        break;
      case MADV_HUGEPAGE:
      case kCollapse:
        if (ask(Operation::kWatches, address, bytes) > 0) {
          return advice == MADV_HUGEPAGE ? 0 : -EINVAL;
        }
        break;
      default:
        break;
    }
  }
  return system_call(SYS_madvise, word(address), static_cast<long>(bytes), advice);
}

// Locked memory is left alone from now on.
bool let_go(const void* address, std::size_t bytes) {
  const long skew = word(address) % kPage;
  return !pages() || bytes == 0 ||
         ask(Operation::kLetGo, static_cast<const char*>(address) - skew,
             bytes + static_cast<std::size_t>(skew)) >= 0;
}

// Nobody may write to paged memory past the page table, as a disk would.
int open_flags(int flags) {
  return pages() ? flags & ~O_DIRECT : flags;
}

}  // namespace
}  // namespace fallow::run

// --- The hooks: what the program calls instead of libc's.

using namespace fallow::run;

#define FALLOW_HOOK extern "C" __attribute__((visibility("default")))

FALLOW_HOOK void* mmap(void* address, size_t bytes, int protection, int flags, int fd,
                       off_t offset) noexcept {
  return answer<void*>(map_memory(address, bytes, protection, flags, fd, offset));
}

FALLOW_HOOK void* mmap64(void* address, size_t bytes, int protection, int flags, int fd,
                         off64_t offset) noexcept {
  return answer<void*>(map_memory(address, bytes, protection, flags, fd, offset));
}

FALLOW_HOOK int munmap(void* address, size_t bytes) noexcept {
  return answer<int>(unmap_memory(address, bytes));
}

FALLOW_HOOK void* mremap(void* from, size_t bytes, size_t wanted, int flags, ...) noexcept {
  va_list rest;
  va_start(rest, flags);
  void* to = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void*) : nullptr;
  va_end(rest);
  return answer<void*>(remap_memory(from, bytes, wanted, flags, to));
}

FALLOW_HOOK int madvise(void* address, size_t bytes, int advice) noexcept {
  return answer<int>(advise(address, bytes, advice));
}

FALLOW_HOOK int mlock(const void* address, size_t bytes) noexcept {
  return let_go(address, bytes)
             ? answer<int>(system_call(SYS_mlock, word(address), static_cast<long>(bytes)))
             : static_cast<int>(fail(-ENOMEM));
}

FALLOW_HOOK int mlock2(const void* address, size_t bytes, unsigned flags) noexcept {
  return let_go(address, bytes)
             ? answer<int>(system_call(SYS_mlock2, word(address), static_cast<long>(bytes), flags))
             : static_cast<int>(fail(-ENOMEM));
}

FALLOW_HOOK int mlockall(int flags) noexcept {
  constexpr std::size_t kAll = std::size_t{1} << 47;
  if ((flags & MCL_CURRENT) != 0 && !let_go(nullptr, kAll)) {
    return static_cast<int>(fail(-ENOMEM));
  }
  const long result = system_call(SYS_mlockall, flags);
  if (result == 0 && (flags & MCL_FUTURE) != 0) {
    state.takes_more = false;
  }
  if (pages() && (flags & MCL_CURRENT) != 0 && !make_probe()) {
    die("the pager takes no memory any more");
  }
  return answer<int>(result);
}

#define FALLOW_OPEN_MODE(flags)                   \
  mode_t mode = 0;                                \
  if (((flags) & (O_CREAT | __O_TMPFILE)) != 0) { \
    va_list rest;                                 \
    va_start(rest, flags);                        \
    mode = va_arg(rest, mode_t);                  \
    va_end(rest);                                 \
  }

namespace {
int open_file(int folder, const char* path, int flags, mode_t mode) {
  return answer<int>(system_call(SYS_openat, folder, word(path), open_flags(flags), mode));
}
}  // namespace

FALLOW_HOOK int open(const char* path, int flags, ...) {
  FALLOW_OPEN_MODE(flags)
  return open_file(AT_FDCWD, path, flags, mode);
}

FALLOW_HOOK int open64(const char* path, int flags, ...) {
  FALLOW_OPEN_MODE(flags)
  return open_file(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

FALLOW_HOOK int openat(int folder, const char* path, int flags, ...) {
  FALLOW_OPEN_MODE(flags)
  return open_file(folder, path, flags, mode);
}

FALLOW_HOOK int openat64(int folder, const char* path, int flags, ...) {
  FALLOW_OPEN_MODE(flags)
  return open_file(folder, path, flags | O_LARGEFILE, mode);
}
