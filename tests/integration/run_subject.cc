// A program for `fallow run` to run: each of its tasks does to memory what programs do, and checks
// every word afterwards. Exit code 0 when all was as it should be.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kMiB = std::size_t{1} << 20;

[[noreturn]] void fail(const std::string& why) {
  std::cerr << "run-subject: " << why << "\n";
  std::_Exit(1);
}

void expect(bool held, const std::string& what) {
  if (!held) {
    fail(what);
  }
}

std::uint64_t word_at(std::size_t i, std::uint64_t seed) {
  return (i + 1) * 0x9e3779b97f4a7c15 + seed;
}

// Words of [from, to), which are offsets in bytes.
void fill(char* memory, std::size_t from, std::size_t to, std::uint64_t seed) {
  auto* words = reinterpret_cast<std::uint64_t*>(memory);
  for (std::size_t i = from / 8; i < to / 8; ++i) {
    words[i] = word_at(i, seed);
  }
}

void check(const char* memory, std::size_t from, std::size_t to, std::uint64_t seed,
           const std::string& what) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(memory);
  for (std::size_t i = from / 8; i < to / 8; ++i) {
    expect(words[i] == word_at(i, seed), what + ": wrong at byte " + std::to_string(i * 8));
  }
}

void check_zeros(const char* memory, std::size_t from, std::size_t to, const std::string& what) {
  for (std::size_t i = from; i < to; ++i) {
    expect(memory[i] == 0, what + ": not zero at byte " + std::to_string(i));
  }
}

char* map(std::size_t bytes, void* at = nullptr, int flags = 0) {
  void* memory =
      ::mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  expect(memory != MAP_FAILED, "mmap");
  return static_cast<char*>(memory);
}

// More than may be in RAM, so that what was there before leaves.
void press() {
  constexpr std::size_t kBytes = 48 * kMiB;
  char* memory = map(kBytes);
  fill(memory, 0, kBytes, 99);
  check(memory, 0, kBytes, 99, "pressure");
  ::munmap(memory, kBytes);
}

void replace_mapping() {
  char* memory = map(12 * kMiB);
  fill(memory, 0, 12 * kMiB, 1);
  press();
  map(4 * kMiB, memory + 4 * kMiB, MAP_FIXED);
  check_zeros(memory, 4 * kMiB, 8 * kMiB, "the new mapping");
  fill(memory, 4 * kMiB, 8 * kMiB, 2);
  press();
  check(memory, 0, 4 * kMiB, 1, "before it");
  check(memory, 4 * kMiB, 8 * kMiB, 2, "in it");
  check(memory, 8 * kMiB, 12 * kMiB, 1, "behind it");
  ::munmap(memory + 2 * kMiB, 2 * kMiB);
  press();
  check(memory, 0, 2 * kMiB, 1, "before the hole");
  check(memory, 8 * kMiB, 12 * kMiB, 1, "behind the hole");
}

void grow() {
  std::size_t bytes = kMiB;
  char* memory = map(bytes);
  fill(memory, 0, bytes, 1);
  while (bytes < 64 * kMiB) {
    void* moved = ::mremap(memory, bytes, bytes * 2, MREMAP_MAYMOVE);
    expect(moved != MAP_FAILED, "mremap to more");
    memory = static_cast<char*>(moved);
    check(memory, 0, bytes, 1, "what was there");
    check_zeros(memory, bytes, bytes + kPage, "what is new");
    fill(memory, bytes, bytes * 2, 1);
    bytes *= 2;
  }
  expect(::mremap(memory, bytes, bytes / 4, 0) == memory, "mremap to less");
  press();
  check(memory, 0, bytes / 4, 1, "what is left");
}

void discard() {
  char* memory = map(12 * kMiB);
  for (const int advice : {MADV_DONTNEED, MADV_FREE}) {
    for (const bool pressed : {false, true}) {
      fill(memory, 0, 12 * kMiB, 1);
      if (pressed) {
        press();
      }
      expect(::madvise(memory + 4 * kMiB, 4 * kMiB, advice) == 0, "madvise");
      check_zeros(memory, 4 * kMiB, 8 * kMiB, "what was given back");
      check(memory, 0, 4 * kMiB, 1, "before");
      check(memory, 8 * kMiB, 12 * kMiB, 1, "behind");
    }
  }
  for (int i = 0; i < 200; ++i) {
    expect(::madvise(memory, 4 * kMiB, MADV_DONTNEED) == 0, "madvise");
    fill(memory, 0, 64 * kPage, 3);
  }
  check(memory, 0, 64 * kPage, 3, "the last");
}

void lock() {
  char* memory = map(8 * kMiB);
  fill(memory, 0, 8 * kMiB, 1);
  press();
  expect(::mlock(memory + kMiB, 2 * kMiB) == 0, "mlock");
  std::vector<unsigned char> there(2 * kMiB / kPage);
  press();
  expect(::mincore(memory + kMiB, 2 * kMiB, there.data()) == 0, "mincore");
  for (const unsigned char page : there) {
    expect((page & 1) != 0, "a locked page left RAM");
  }
  check(memory, 0, 8 * kMiB, 1, "all of it");
  expect(::munlock(memory + kMiB, 2 * kMiB) == 0, "munlock");
  expect(::mlockall(MCL_CURRENT) == 0, "mlockall");
  check(memory, 0, 8 * kMiB, 1, "locked");
  expect(::munlockall() == 0, "munlockall");
  const pid_t child = ::fork();
  if (child == 0) {
    check(memory, 0, 8 * kMiB, 1, "in a child");
    press();
    std::_Exit(0);
  }
  int status = -1;
  expect(::waitpid(child, &status, 0) == child && status == 0, "the child");
}

void threads() {
  constexpr std::size_t kBytes = 12 * kMiB;
  std::vector<std::thread> all;
  for (unsigned t = 0; t < 4; ++t) {
    all.emplace_back([t] {
      char* memory = map(kBytes);
      for (std::uint64_t round = 0; round < 3; ++round) {
        fill(memory, 0, kBytes, t + round);
        // Not in order, so that nothing is brought in ahead.
        for (std::size_t i = 0; i < kBytes / kPage; ++i) {
          const std::size_t at = i * 1237 % (kBytes / kPage) * kPage;
          check(memory, at, at + kPage, t + round, "a thread's");
        }
      }
      ::munmap(memory, kBytes);
    });
  }
  for (std::thread& one : all) {
    one.join();
  }
}

int end_of(pid_t child) {
  int status = -1;
  expect(::waitpid(child, &status, 0) == child, "waitpid");
  return status;
}

void fork_and_go_on() {
  constexpr std::size_t kBytes = 40 * kMiB;
  char* memory = map(kBytes);
  fill(memory, 0, kBytes, 1);
  const pid_t child = ::fork();
  if (child == 0) {
    check(memory, 0, kBytes, 1, "the child's copy");
    fill(memory, 0, kBytes / 2, 2);
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      check(memory, 0, kBytes / 2, 2, "the grandchild's first half");
      check(memory, kBytes / 2, kBytes, 1, "the grandchild's second half");
      fill(memory, 0, kBytes, 4);
      ::sleep(2);  // from then on what it had when it was forked counts
      press();
      check(memory, 0, kBytes, 4, "the grandchild's own");
      std::_Exit(0);
    }
    check(memory, 0, kBytes / 2, 2, "the child's first half");
    check(memory, kBytes / 2, kBytes, 1, "the child's second half");
    std::_Exit(end_of(grandchild));
  }
  fill(memory, kBytes / 2, kBytes, 3);
  check(memory, 0, kBytes / 2, 1, "the parent's first half");
  check(memory, kBytes / 2, kBytes, 3, "the parent's second half");
  expect(end_of(child) == 0, "the child");
  check(memory, 0, kBytes / 2, 1, "the parent's first half, afterwards");
  check(memory, kBytes / 2, kBytes, 3, "the parent's second half, afterwards");
}

// While other threads fault and write, each child must see one moment of them.
void fork_often() {
  constexpr std::size_t kBytes = 24 * kMiB;
  char* memory = map(kBytes);
  fill(memory, 0, kBytes, 1);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (unsigned t = 0; t < 2; ++t) {
    writers.emplace_back([&, t] {
      const std::size_t begin = t * kBytes / 2;
      for (std::size_t i = 0; !stop; ++i) {
        const std::size_t at = begin + i * 1237 % (kBytes / 2 / kPage) * kPage;
        fill(memory, at, at + kPage, 1);  // the same again
      }
    });
  }
  for (int i = 0; i < 25; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      const std::size_t from = static_cast<std::size_t>(i) % 6 * 4 * kMiB;
      check(memory, from, from + 4 * kMiB, 1, "a child's");
      fill(memory, from, from + kMiB, 7);
      check(memory, from, from + kMiB, 7, "a child's own");
      std::_Exit(0);
    }
    expect(end_of(child) == 0, "child " + std::to_string(i));
  }
  stop = true;
  for (std::thread& one : writers) {
    one.join();
  }
  check(memory, 0, kBytes, 1, "the parent's");
}

void become_another(const char* self) {
  char* memory = map(40 * kMiB);
  fill(memory, 0, 40 * kMiB, 1);
  ::execl(self, self, "threads", nullptr);
  fail("execl");
}

void close_descriptors() {
  char* memory = map(8 * kMiB);
  fill(memory, 0, 8 * kMiB, 1);
  ::close_range(3, ~0U, 0);
  for (int i = 0; i < 1100; ++i) {
    (void)::open("/dev/null", O_RDONLY);  // takes the numbers
  }
  press();
  check(memory, 0, 8 * kMiB, 1, "afterwards");
}

void read_directly(const char* path) {
  constexpr std::size_t kBytes = 8 * kMiB;
  char* memory = map(kBytes);
  fill(memory, 0, kBytes, 5);
  const int file = ::open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
  expect(file >= 0, "open");
  expect(::pwrite(file, memory, kBytes, 0) == static_cast<ssize_t>(kBytes), "pwrite");
  expect(::madvise(memory, kBytes, MADV_DONTNEED) == 0, "madvise");
  expect(::pread(file, memory, kBytes, 0) == static_cast<ssize_t>(kBytes), "pread");
  press();
  check(memory, 0, kBytes, 5, "what was read");
}

sigjmp_buf before_access;

// Prints how many of the pages could not be had. All the others are as they were.
void count_lost() {
  constexpr std::size_t kBytes = 48 * kMiB;
  struct sigaction action {};
  action.sa_handler = [](int) { siglongjmp(before_access, 1); };
  ::sigaction(SIGBUS, &action, nullptr);
  char* memory = map(kBytes);
  std::vector<bool> written(kBytes / kPage);
  std::size_t lost = 0;
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (sigsetjmp(before_access, 1) == 0) {
      fill(memory, i * kPage, (i + 1) * kPage, 1);
      written[i] = true;
    } else {
      ++lost;
    }
  }
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i] && sigsetjmp(before_access, 1) == 0) {
      check(memory, i * kPage, (i + 1) * kPage, 1, "a page that was written");
    }
  }
  std::cout << "lost " << lost << std::endl;
}

// Goes on until the file is there, so that something can happen meanwhile.
void go_on(const char* until) {
  constexpr std::size_t kBytes = 40 * kMiB;
  char* memory = map(kBytes);
  fill(memory, 0, kBytes, 1);
  for (std::uint64_t round = 1; ::access(until, F_OK) != 0; ++round) {
    check(memory, 0, kBytes, round, "a round's");
    fill(memory, 0, kBytes, round + 1);
    std::cout << "round " << round << std::endl;
  }
}

void end_by_signal() {
  ::raise(SIGTERM);
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<void()>> tasks = {
      {"replace", replace_mapping}, {"grow", grow},
      {"discard", discard},         {"lock", lock},
      {"threads", threads},         {"fork", fork_and_go_on},
      {"fork-often", fork_often},   {"exec", [&] { become_another(argv[0]); }},
      {"close", close_descriptors}, {"direct", [&] { read_directly(argv[2]); }},
      {"lost", count_lost},         {"go-on", [&] { go_on(argv[2]); }},
      {"signal", end_by_signal},
  };
  const auto task = argc > 1 ? tasks.find(argv[1]) : tasks.end();
  if (task == tasks.end()) {
    fail("no such task");
  }
  task->second();
  return 0;
}
