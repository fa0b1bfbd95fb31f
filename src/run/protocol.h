// What a program under `fallow run` and its pager say to each other. The program's side is a
// library that is loaded into it (preload.cc), the pager's is Server.
//
// Over a socket (SOCK_SEQPACKET) one request at a time, each answered with one result. And in a
// page of memory that both have: pages of the program are dropped by a thread of the program, as no
// other process can.
#pragma once

#include <atomic>
#include <cstdint>

namespace fallow::run {

enum class Operation : std::uint32_t {
  kStart = 1,  // with two descriptors: the userfaultfd, and the memory of a DropBoard
  kForked,     // by a forked process, with one: the memory of its DropBoard; answered with one: its
               // userfaultfd. `thread` has faulted last
  kAgain,      // the process had a socket before this one
  kWatch,      // memory that was mapped just now
  kForget,     // it is about to be unmapped. 1: some of it was watched
  kDiscard,    // its content is about to be given back. 1: some of it was watched
  kLetGo,      // not to be paged any more. 1: some of it was watched
  kWatches,    // 1: some of it is watched
  kHold,       // everything into RAM, as a fork comes that the kernel does not tell of
  kRelease,
};

struct Request {
  Operation operation;
  std::uint32_t thread;  // the caller's
  std::uint64_t begin;   // an address
  std::uint64_t bytes;   // both multiples of the page size
};

struct Reply {
  std::int64_t result;  // negative: an errno value
};

inline constexpr char kSocketVariable[] = "FALLOW_RUN_SOCKET";

// Mappings with fewer bytes are left alone.
inline constexpr std::uint64_t kBytesLeast = 256 << 10;

// Orders to the thread that drops pages. kIdle -> kAsked by the pager, -> kRunning -> kDone by the
// thread, -> kIdle by the pager; the pager may take back what is not running yet.
struct DropBoard {
  enum State : std::uint32_t { kIdle = 0, kAsked, kRunning, kDone };
  static constexpr std::uint32_t kRunsMost = 240;
  struct Run {
    std::uint64_t begin;
    std::uint64_t bytes;
  };
  std::atomic<std::uint32_t> state;
  std::uint32_t count;
  Run runs[kRunsMost];
};

static_assert(sizeof(DropBoard) <= 4096);

}  // namespace fallow::run
