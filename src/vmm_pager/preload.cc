// libfallow_vmm.so, for VMMs that know nothing of userfaultfd: loaded before their own libraries,
// it gives the faults of one shared mapping to `fallow pager`, before the VMM gets to see the
// mapping.
//
//   FALLOW_PAGER_SOCKET  where the pager listens
//   FALLOW_PAGER_MEM     the file whose mapping is meant
//
// The userfaultfd stays open here for as long as the process lives: when the pager dies, who
// touches a page that is not in RAM waits, and a thread hands the descriptor to the next pager.
//
// It runs in a program that is not ours: libc alone, nothing that throws, and no word but on
// standard error.
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "pager/userfault_features.h"

namespace {

constexpr size_t kPageSize = 4096;

enum class Answer { kAccepted, kRefused, kNobody };

pthread_mutex_t paging = PTHREAD_MUTEX_INITIALIZER;
bool paged = false;  // guarded by paging; what follows does not change any more then
int faults = -1;
char message[256];

#define SAY(...)                                    \
  do {                                              \
    fprintf(stderr, "libfallow_vmm: " __VA_ARGS__); \
    fputc('\n', stderr);                            \
  } while (false)

const char* socket_path() {
  return getenv("FALLOW_PAGER_SOCKET");
}

void pause_ms(long ms) {
  const timespec time{ms / 1000, ms % 1000 * 1'000'000};
  nanosleep(&time, nullptr);
}

// The device file can be given to a group; the system call is what older kernels have.
int open_userfaultfd() {
  const int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
  int fd = -1;
  if (device >= 0) {
    fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    close(device);
  }
  if (fd < 0) {
    fd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  }
  if (fd < 0) {
    SAY("cannot make a userfaultfd (%s): give this user access to /dev/userfaultfd (chgrp, chmod "
        "660), or set the sysctl vm.unprivileged_userfaultfd=1",
        strerror(errno));
    return -1;
  }
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = fallow::pager::kSharedMemoryFeatures;
  if (ioctl(fd, UFFDIO_API, &api) != 0) {
    SAY("this kernel's userfaultfd cannot page shared memory (%s): 6.1 or later can",
        strerror(errno));
    close(fd);
    return -1;
  }
  return fd;
}

int connect_to_pager() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, socket_path(), sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

bool send_handshake(int fd) {
  iovec text{message, strlen(message)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr whole{};
  whole.msg_iov = &text;
  whole.msg_iovlen = 1;
  whole.msg_control = control;
  whole.msg_controllen = sizeof control;
  cmsghdr* part = CMSG_FIRSTHDR(&whole);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(part), &faults, sizeof faults);
  return sendmsg(fd, &whole, MSG_NOSIGNAL) == static_cast<ssize_t>(text.iov_len);
}

// The pager's first byte says that it has taken the faults on.
bool read_byte(int fd) {
  char byte = 0;
  ssize_t bytes = 0;
  do {
    bytes = recv(fd, &byte, 1, 0);
  } while (bytes < 0 && errno == EINTR);
  return bytes == 1;
}

// `connection`: stays open as long as the pager lives.
Answer hand_over(int& connection) {
  connection = connect_to_pager();
  if (connection < 0) {
    return Answer::kNobody;
  }
  if (send_handshake(connection) && read_byte(connection)) {
    return Answer::kAccepted;
  }
  close(connection);
  return Answer::kRefused;
}

// Until a pager has taken the faults on. What the VM touches meanwhile waits in the kernel.
int hand_over_again() {
  SAY("the pager has gone: the VM waits for the next one at %s", socket_path());
  for (bool told = false;; pause_ms(100)) {
    int connection = -1;
    const Answer answer = hand_over(connection);
    if (answer == Answer::kAccepted) {
      SAY("the VM is paged again");
      return connection;
    }
    if (answer == Answer::kRefused && !told) {
      SAY("the pager at %s has refused this VM, and says why; it is asked again", socket_path());
      told = true;
    }
  }
}

void* keep_paged(void* argument) {
  int connection = static_cast<int>(reinterpret_cast<intptr_t>(argument));
  for (;;) {
    while (read_byte(connection)) {
    }
    close(connection);
    connection = hand_over_again();
  }
}

// A thread that gets none of the program's signals.
bool start_thread(int connection) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(&thread, nullptr, keep_paged,
                                   reinterpret_cast<void*>(static_cast<intptr_t>(connection)));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error == 0;
}

bool is_meant(int flags, int fd) {
  const char* path = getenv("FALLOW_PAGER_MEM");
  const int type = flags & MAP_TYPE;
  if (path == nullptr || socket_path() == nullptr || fd < 0 ||
      (type != MAP_SHARED && type != MAP_SHARED_VALIDATE)) {
    return false;
  }
  struct stat mapped {};
  struct stat meant {};
  return fstat(fd, &mapped) == 0 && stat(path, &meant) == 0 && mapped.st_dev == meant.st_dev &&
         mapped.st_ino == meant.st_ino;
}

// 0 or an errno value.
int page(const void* address, size_t bytes, off_t offset) {
  if (paged) {
    SAY("%s is mapped a second time: only one mapping can be paged", getenv("FALLOW_PAGER_MEM"));
    return EBUSY;
  }
  faults = open_userfaultfd();
  if (faults < 0) {
    return EPERM;
  }
  snprintf(message, sizeof message,
           "[{\"base_host_virt_addr\":%zu,\"size\":%zu,\"offset\":%zu,\"page_size\":%zu}]",
           reinterpret_cast<size_t>(address), (bytes + kPageSize - 1) / kPageSize * kPageSize,
           static_cast<size_t>(offset), kPageSize);
  int connection = -1;
  Answer answer = hand_over(connection);
  if (answer == Answer::kNobody) {
    SAY("waiting for a pager at %s", socket_path());
  }
  while (answer == Answer::kNobody) {
    pause_ms(100);
    answer = hand_over(connection);
  }
  if (answer == Answer::kRefused || !start_thread(connection)) {
    SAY("the pager at %s has refused this VM, and says why", socket_path());
    close(faults);
    return EPERM;
  }
  paged = true;
  return 0;
}

void* map(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  void* at =
      reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection, flags, fd, offset));
  if (at == MAP_FAILED || !is_meant(flags, fd)) {
    return at;
  }
  pthread_mutex_lock(&paging);
  const int error = page(at, bytes, offset);
  pthread_mutex_unlock(&paging);
  if (error != 0) {
    munmap(at, bytes);
    errno = error;
    return MAP_FAILED;
  }
  return at;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) void* mmap(void* address, size_t bytes, int protection,
                                                  int flags, int fd, off_t offset) noexcept {
  return map(address, bytes, protection, flags, fd, offset);
}

__attribute__((visibility("default"))) void* mmap64(void* address, size_t bytes, int protection,
                                                    int flags, int fd, off64_t offset) noexcept {
  return map(address, bytes, protection, flags, fd, offset);
}

}  // extern "C"
