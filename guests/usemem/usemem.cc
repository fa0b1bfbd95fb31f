// usemem (004, §2.3): allocates a block, traverses it linearly writing and then reading, frees it,
// and goes on with a larger one: memory demand that grows in even steps. It verifies every word
// that it reads, so each run is also a test of the swap device under it.
#include <csignal>

#include "common/block.h"
#include "common/pattern.h"
#include "common/report.h"
#include "usemem/options.h"

namespace fallow::guests {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

void request_stop(int /*signal*/) {
  stop_requested = 1;
}

enum class Outcome { kDone, kStopped, kWrong };

class Usemem {
 public:
  explicit Usemem(const UsememOptions& options) : options_(options) {}

  int run() {
    start_ms_ = now_ms();
    Outcome outcome = Outcome::kDone;
    for (std::uint64_t bytes = options_.step_bytes; outcome == Outcome::kDone;) {
      const bool last = bytes + options_.step_bytes > options_.max_bytes;
      outcome = run_step(bytes, last && !options_.once);
      if (last) {
        break;
      }
      bytes += options_.step_bytes;
    }
    std::printf("%s passes %llu verified %llu\n", outcome == Outcome::kStopped ? "stopped" : "done",
                static_cast<unsigned long long>(passes_),
                static_cast<unsigned long long>(verified_pages_));
    return outcome == Outcome::kWrong ? 1 : 0;
  }

 private:
  // One block: traversed once, or until stopped.
  Outcome run_step(std::uint64_t bytes, bool for_ever) {
    print_attempt(bytes);
    Block block(bytes);
    if (!block.valid()) {
      print_error("no memory for " + std::to_string(bytes) + " bytes");
      return Outcome::kWrong;
    }
    Outcome outcome = Outcome::kDone;
    do {
      outcome = run_pass(block);
    } while (for_ever && !options_.idle && outcome == Outcome::kDone);
    return for_ever && outcome == Outcome::kDone ? sit_idle() : outcome;
  }

  [[nodiscard]] Outcome sit_idle() const {
    print_phase("fill", now_ms() - start_ms_);
    // Blocked but while it sleeps: none may come between its look and its sleep.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    while (stop_requested == 0) {
      sigsuspend(&before);
    }
    return Outcome::kStopped;
  }

  Outcome run_pass(Block& block) {
    const std::uint64_t start_ms = now_ms();
    Outcome outcome = write(block);
    if (outcome == Outcome::kDone) {
      outcome = verify(block);
    }
    if (outcome == Outcome::kDone) {
      print_step(block.bytes(), now_ms() - start_ms);
      ++passes_;
    }
    return outcome;
  }

  Outcome write(Block& block) const {
    for (std::uint64_t page = 0; page < block.pages(); ++page) {
      if (stop_requested != 0) {
        return Outcome::kStopped;
      }
      fill_page(block.page(page), {options_.seed, passes_, page});
    }
    return Outcome::kDone;
  }

  Outcome verify(Block& block) {
    for (std::uint64_t page = 0; page < block.pages(); ++page) {
      if (stop_requested != 0) {
        return Outcome::kStopped;
      }
      const std::size_t word = first_mismatch(block.page(page), {options_.seed, passes_, page});
      if (word != kPageWords) {
        print_error("page " + std::to_string(page) + " word " + std::to_string(word) +
                    " of a block of " + std::to_string(block.bytes()) + " bytes came back wrong");
        return Outcome::kWrong;
      }
      ++verified_pages_;
    }
    return Outcome::kDone;
  }

  const UsememOptions options_;
  std::uint64_t start_ms_ = 0;
  std::uint64_t passes_ = 0;
  std::uint64_t verified_pages_ = 0;
};

int run(const UsememOptions& options) {
  struct sigaction action {};
  action.sa_handler = request_stop;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  return Usemem(options).run();
}

}  // namespace
}  // namespace fallow::guests

int main(int argc, char** argv) {
  using namespace fallow::guests;
  return run_program(argc, argv, parse_usemem_options, usemem_help(), run);
}
