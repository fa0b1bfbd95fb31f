#include "vmm_pager/service.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/event_loop.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "pager/pager.h"
#include "vmm_pager/guest_file.h"
#include "vmm_pager/handshake.h"
#include "vmm_pager/state_file.h"

namespace fallow::vmm_pager {
namespace {

using nlohmann::ordered_json;
using pager::Pager;
using pager::Place;

constexpr unsigned kKeepSeconds = 600;  // as long as the daemon allows
constexpr int kHandshakeMs = 3'000;
constexpr std::uint64_t kLookNs = 200'000'000;
constexpr int kBacklog = 4;

// While it is there, SIGTERM and SIGINT are read, and not acted upon; threads that are made
// meanwhile leave them alone, too.
class EndSignals {
 public:
  EndSignals() {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &mask, &before_);
    fd_.reset(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~EndSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }
  // The next one ends the process, whatever it waits for.
  void taken() {
    signalfd_siginfo info{};
    (void)!::read(fd_.get(), &info, sizeof info);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_{};
  UniqueFd fd_;
};

class Service {
 public:
  Service(const ServiceOptions& options, std::ostream& out) : options_(options), out_(out) {}
  Status run();

 private:
  enum class End { kNone, kAsked, kVmGone };

  Status open_state();
  Status start_pager();
  Status check_kept() const;
  Status listen();
  void on_connection();
  void on_vmm();
  void look();
  void note_secret();
  Status take_on(int socket);
  Status take_on_file(Handshake handshake, GuestFile file);
  Status begin_or_go_on(const Guest& guest);
  void conclude();
  void tell(const std::string& text, ordered_json fields);

  const ServiceOptions& options_;
  std::ostream& out_;
  EndSignals signals_;
  std::unique_ptr<EventLoop> loop_;
  UniqueFd listener_;
  std::unique_ptr<StateFile> state_;
  UniqueFd memory_;
  std::unique_ptr<Pager> pager_;  // before the file that it works on
  UniqueFd vmm_;                  // not valid: it was closed over there, or none is served
  bool serving_ = false;
  End end_ = End::kNone;
};

ordered_json figures(const pager::PagerStatistics& now) {
  return {{"ram_limit", now.ram_pages * kPageSize},
          {"resident", now.resident * kPageSize},
          {"in_fallow", now.in_fallow * kPageSize},
          {"in_backing", now.in_file * kPageSize},
          {"faults", now.faults},
          {"faults_zero", now.faults_zero},
          {"faults_write", now.faults_write},
          {"evictions", now.evictions},
          {"evictions_clean", now.evictions_clean},
          {"promotions", now.promotions},
          {"demotions", now.demotions},
          {"prefetched", now.prefetched},
          {"prefetch_hits", now.prefetch_hits},
          {"failures", now.failures},
          {"backing_requests", now.file_requests},
          {"backing_speed", now.backing_speed.described()},
          {"latency_p50_ns", now.latency_ns.quantile(0.5)},
          {"latency_p99_ns", now.latency_ns.quantile(0.99)}};
}

void Service::tell(const std::string& text, ordered_json fields) {
  out_ << (options_.json ? fields.dump() : text) << std::endl;
}

// The state of a VM that has ended is nobody's any more.
Status Service::open_state() {
  if (options_.state.starts_with(default_folder() + "/")) {
    std::error_code error;
    std::filesystem::create_directories(default_folder(), error);  // or the file cannot be opened
  }
  Result<std::unique_ptr<StateFile>> state = StateFile::open(options_.state);
  FALLOW_TRY(state);
  state_ = std::move(*state);
  if (state_->holds() && !may_live(state_->guest().process)) {
    log_info("pager_state_dropped", {{"detail", "the VM that it was of has ended"}});
    FALLOW_TRY(state_->clear());
  }
  if (state_->holds() && state_->count(Place::kFile) > 0 &&
      identity_of(options_.backing) != state_->backing()) {
    return failed("pages of the VM are in a backing file that is not at '" + options_.backing +
                  "': start with --backing as before; the VM waits");
  }
  return {};
}

Status Service::start_pager() {
  pager::PagerOptions made;
  made.ram_pages = options_.ram_bytes / kPageSize;
  made.store.socket = options_.ring;
  made.store.name = options_.name;
  made.store.daemon = options_.daemon;
  made.store.keep_seconds = kKeepSeconds;
  made.store.backing_path = options_.backing;
  made.store.backing_speed = options_.backing_speed;
  made.demotion_pages_per_second = options_.demotion_pages_per_second;
  made.store.resume = state_->holds();
  made.store.secret = state_->secret();
  Result<std::unique_ptr<Pager>> started = Pager::create(made);
  FALLOW_TRY(started);
  pager_ = std::move(*started);
  if (state_->holds()) {
    FALLOW_TRY(check_kept());
  }
  // Not before: another daemon's would be in the place of the one that has the pages.
  note_secret();
  pager_->leave(state_->holds());
  return {};
}

Status Service::check_kept() const {
  const std::uint64_t pages = state_->count(Place::kFallow);
  if (pages == 0 || (pager_->client() != nullptr && fallow_resumed(pager_->client()) == 1)) {
    return {};
  }
  if (pager_->client() == nullptr) {
    return failed(std::to_string(pages) +
                  " pages of the VM are with the daemon: start without --no-daemon; the VM waits");
  }
  return failed("the daemon does not have the " + std::to_string(pages) +
                " pages of the VM any more that were put there (it keeps them for " +
                std::to_string(kKeepSeconds) +
                " s): the VM cannot go on; end it, and start both again");
}

Status Service::listen() {
  Result<UniqueFd> listener = listen_unix(options_.socket, kBacklog);
  FALLOW_TRY(listener);
  listener_ = std::move(*listener);
  FALLOW_TRY(loop_->watch(listener_.get(), [this] { on_connection(); }));
  FALLOW_TRY(loop_->watch(signals_.fd(), [this] {
    signals_.taken();
    loop_->unwatch(signals_.fd());
    end_ = End::kAsked;
    loop_->stop();
  }));
  const auto timer = loop_->every_ns(kLookNs, [this] { look(); });
  FALLOW_TRY(timer);
  tell("listening at " + options_.socket + (state_->holds() ? " for the VM that waits" : "") +
           "; state in " + options_.state + ", what the daemon refuses in " + options_.backing +
           (options_.backing_speed.emulated()
                ? " at the speed of " + options_.backing_speed.described()
                : ""),
       {{"event", "listening"},
        {"socket", options_.socket},
        {"state", options_.state},
        {"backing", options_.backing},
        {"backing_speed", options_.backing_speed.described()},
        {"awaits_vm", state_->holds()}});
  return {};
}

void Service::on_connection() {
  UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid()) {
    return;
  }
  Status taken = serving_ ? invalid("a VM is served already: each needs a pager of its own")
                          : take_on(socket.get());
  // Who listens for a word knows from it that all its faults will be answered.
  constexpr char kAccepted = '1';
  if (taken) {
    (void)::send(socket.get(), &kAccepted, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    vmm_ = std::move(socket);
    taken = loop_->watch(vmm_.get(), [this] { on_vmm(); });
  }
  if (!taken) {
    log_warning("pager_vmm_refused", {{"detail", taken.error().text}});
  }
}

// Nothing more is expected of it but its end.
void Service::on_vmm() {
  char buffer[256];
  const ssize_t bytes = ::recv(vmm_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR)) {
    loop_->unwatch(vmm_.get());
    vmm_.reset();
    look();
  }
}

// A VMM that closes the connection and lives is served on.
void Service::look() {
  if (!serving_) {
    return;
  }
  pager_->look_after_spaces();
  if (pager_->spaces() == 0) {
    end_ = End::kVmGone;
    loop_->stop();
    return;
  }
  note_secret();
}

// A daemon that came back without the pages has given a new one.
void Service::note_secret() {
  fallow_secret secret{};
  if (pager_->client() != nullptr && fallow_secret_of(pager_->client(), &secret) == 0) {
    state_->set_secret(secret);
  }
}

Status Service::take_on(int socket) {
  Result<Handshake> handshake = receive_handshake(socket, kHandshakeMs);
  FALLOW_TRY(handshake);
  Result<GuestFile> file = open_guest_file(options_.memory);
  FALLOW_TRY(file);
  FALLOW_TRY(check_within(handshake->mappings, file->identity.bytes));
  const Guest guest{peer_of(socket), file->identity};
  const bool fresh = !state_->holds();
  FALLOW_TRY(begin_or_go_on(guest));
  const Status taken = take_on_file(std::move(*handshake), std::move(*file));
  if (!taken && fresh) {
    pager_->leave(false);
    FALLOW_TRY(state_->clear());
  }
  return taken;
}

Status Service::begin_or_go_on(const Guest& guest) {
  if (!state_->holds()) {
    FALLOW_TRY(state_->begin(guest, identity_of(options_.backing)));
    pager_->leave(true);
    return {};
  }
  const Guest known = state_->guest();
  const bool seen = guest.process.pid != 0 && known.process.pid != 0;
  if (known.memory != guest.memory || (seen && known.process != guest.process)) {
    return invalid("the pages in '" + options_.state + "' are of another VM, process " +
                   std::to_string(known.process.pid) + ": name another file with --state");
  }
  return {};
}

Status Service::take_on_file(Handshake handshake, GuestFile file) {
  auto access = std::make_unique<pager::FileMemory>(file.fd.get());
  std::vector<Pager::Kept> ranges;
  std::uint64_t bytes = 0;
  for (const GuestMapping& one : handshake.mappings) {
    access->add_mapping(one.address, one.bytes, one.offset);
    ranges.push_back({one.address, state_->memory(), state_->records(one.offset, one.bytes)});
    bytes += one.bytes;
  }
  const auto space = pager_->add_space(std::move(handshake.faults), std::move(access), true);
  FALLOW_TRY(space);
  memory_ = std::move(file.fd);
  if (const Status taken = pager_->resume(*space, ranges); !taken) {
    pager_->remove_space(*space);
    return failed(taken.error().text +
                  ": the VM's memory must be shared (a file on tmpfs or a memfd, mapped with "
                  "MAP_SHARED), and the kernel 6.1 or later");
  }
  serving_ = true;
  const VmmProcess process = state_->guest().process;
  tell("serving the VM of process " + std::to_string(process.pid) + ": " + format_size(bytes) +
           ", of which " + format_size(options_.ram_bytes) + " may be in RAM",
       {{"event", "serving"},
        {"pid", process.pid},
        {"bytes", bytes},
        {"ram_limit", options_.ram_bytes}});
  return {};
}

// What is left behind: all that the next pager needs, or nothing.
void Service::conclude() {
  const pager::PagerStatistics now = pager_->statistics();
  const bool waits = end_ == End::kAsked && state_->holds();
  if (!waits) {
    pager_->leave(false);
  }
  ::unlink(options_.socket.c_str());
  pager_.reset();
  if (!waits) {
    state_->remove();
    ::unlink(options_.backing.c_str());
  }
  const std::string summary = std::to_string(now.faults) + " faults, " +
                              std::to_string(now.evictions) + " pages left RAM, " +
                              std::to_string(now.failures) + " could not be had";
  ordered_json fields{{"event", waits ? "left" : "ended"}, {"statistics", figures(now)}};
  tell(waits ? "left; the VM waits at its next fault: start 'fallow pager' again with the same "
               "arguments, within " +
                   std::to_string(kKeepSeconds) + " s, as the daemon keeps its pages no longer (" +
                   summary + ")"
             : (end_ == End::kVmGone ? "the VM has ended: " : "no VM came: ") + summary,
       std::move(fields));
}

Status Service::run() {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  FALLOW_TRY(loop);
  loop_ = std::move(*loop);
  FALLOW_TRY(open_state());
  FALLOW_TRY(start_pager());
  FALLOW_TRY(listen());
  loop_->run();
  conclude();
  return {};
}

}  // namespace

std::string default_folder() {
  if (::geteuid() == 0) {
    return "/var/lib/fallow/pager";
  }
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state != '\0') {
    return std::string(state) + "/fallow";
  }
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "/tmp") + "/.local/state/fallow";
}

Status complete(ServiceOptions& options) {
  if (options.ram_bytes / kPageSize < Pager::kRamPagesLeast) {
    return invalid("--ram must be " + format_size(Pager::kRamPagesLeast * kPageSize) + " or more");
  }
  if (options.name.empty()) {
    options.name = std::filesystem::path(options.socket).stem().string();
  }
  if (const Status good = check_name(options.name); !good) {
    return invalid("the VM's name, '" + options.name + "', cannot be: " + good.error().text +
                   " (give one with --vm)");
  }
  if (options.state.empty()) {
    options.state = default_folder() + "/" + options.name + ".state";
  }
  if (options.backing.empty()) {
    options.backing = options.state + ".pages";
  }
  return {};
}

Status serve(const ServiceOptions& options, std::ostream& out) {
  return Service(options, out).run();
}

}  // namespace fallow::vmm_pager
