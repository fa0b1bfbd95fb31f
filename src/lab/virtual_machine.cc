#include "lab/virtual_machine.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace fallow::lab {
namespace {

constexpr std::size_t kLogBytesMax = std::size_t{1} << 20;
constexpr std::size_t kLastWordsMax = 600;
// A guest is not trusted: a line longer than this is dropped.
constexpr std::size_t kLineBytesMax = std::size_t{64} << 10;
constexpr int kEndGraceMs = 2'000;

std::string tail_of(const std::string& path) {
  const auto text = read_text_file(path, kLogBytesMax);
  if (!text || text->empty()) {
    return "";
  }
  return text->size() > kLastWordsMax ? text->substr(text->size() - kLastWordsMax) : *text;
}

}  // namespace

Result<std::unique_ptr<VirtualMachine>> VirtualMachine::start(LabLoop& loop,
                                                              MachineSettings settings) {
  std::unique_ptr<VirtualMachine> machine(new VirtualMachine(loop, std::move(settings)));
  FALLOW_TRY(machine->listen());
  FALLOW_TRY(machine->spawn());
  return machine;
}

VirtualMachine::~VirtualMachine() {
  for (const int fd : {listener_.get(), channel_.get(), qemu_ ? qemu_->fd() : -1}) {
    if (fd >= 0) {
      loop_.events().unwatch(fd);
    }
  }
  if (qemu_) {
    qemu_->end(kEndGraceMs);
  }
}

Status VirtualMachine::listen() {
  const std::string base = settings_.folder + "/" + settings_.name;
  settings_.qemu.console_path = base + ".console";
  settings_.qemu.channel_socket = base + ".channel";
  auto listener = listen_unix(settings_.qemu.channel_socket, 1);
  if (!listener) {
    return listener.error();
  }
  listener_ = std::move(*listener);
  return loop_.events().watch(listener_.get(), [this] { accept(); });
}

Status VirtualMachine::spawn() {
  auto qemu = ChildProcess::spawn(qemu_command(settings_.qemu),
                                  settings_.folder + "/" + settings_.name + ".qemu");
  if (!qemu) {
    return qemu.error();
  }
  qemu_.emplace(*std::move(qemu));
  // Its end only has to wake the loop; every wait looks at alive() itself.
  return loop_.events().watch(qemu_->fd(), [this] { loop_.events().unwatch(qemu_->fd()); });
}

void VirtualMachine::accept() {
  const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0 || channel_.valid()) {
    UniqueFd refused(fd);
    return;
  }
  channel_.reset(fd);
  if (!loop_.events().watch(fd, [this] { read(); })) {
    channel_.reset();
  }
}

void VirtualMachine::read() {
  char bytes[4096];
  const ssize_t count = ::read(channel_.get(), bytes, sizeof(bytes));
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
    loop_.events().unwatch(channel_.get());
    channel_.reset();
    return;
  }
  received_.append(bytes, count > 0 ? static_cast<std::size_t>(count) : 0);
  for (std::size_t end = 0; (end = received_.find('\n')) != std::string::npos;) {
    take(parse_guest_line(std::string_view(received_).substr(0, end)));
    received_.erase(0, end + 1);
  }
  if (received_.size() > kLineBytesMax) {
    received_.clear();
  }
}

void VirtualMachine::take(const GuestLine& line) {
  switch (line.kind) {
    case LineKind::kReady:
      ready_ = true;
      return;
    case LineKind::kOk:
    case LineKind::kFailed:
      answers_.push_back(line);
      return;
    case LineKind::kExited:
      exit_code_ = line.number;
      break;
    default:
      break;
  }
  if (workload_handler_) {
    workload_handler_(line);
  }
}

Status VirtualMachine::wait(const std::function<bool()>& done, std::uint64_t timeout_ms,
                            const std::string& what) {
  const auto over = [&] { return done() || !alive(); };
  const Status status = loop_.wait_until(over, timeout_ms, settings_.name + ": " + what);
  if (!status) {
    return failed(status.error().text + (loop_.interrupted() ? "" : last_words()));
  }
  return done() ? Status() : failed(settings_.name + ": QEMU ended before " + what + last_words());
}

Status VirtualMachine::wait_ready(std::uint64_t timeout_ms) {
  return wait([this] { return ready_; }, timeout_ms, "the guest's boot");
}

void VirtualMachine::send(const std::string& line) {
  const std::string bytes = line + "\n";
  answers_.clear();
  if (line.starts_with("start ")) {
    exit_code_.reset();
  }
  // A line fits the socket's buffer; if QEMU is gone, the wait for the answer says so.
  [[maybe_unused]] const ssize_t sent =
      ::send(channel_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

Result<std::string> VirtualMachine::receive_answer(std::uint64_t timeout_ms) {
  FALLOW_TRY(wait([this] { return !answers_.empty(); }, timeout_ms, "the guest's answer"));
  const GuestLine answer = answers_.front();
  answers_.pop_front();
  if (answer.kind == LineKind::kFailed) {
    return failed(settings_.name + ": " + answer.text);
  }
  return answer.text;
}

Result<std::string> VirtualMachine::command(const std::string& line, std::uint64_t timeout_ms) {
  send(line);
  return receive_answer(timeout_ms);
}

Result<GuestMemory> VirtualMachine::memory(std::uint64_t timeout_ms) {
  const auto answer = command("memory", timeout_ms);
  if (!answer) {
    return answer.error();
  }
  const auto memory = parse_guest_memory(*answer);
  return memory ? Result<GuestMemory>(*memory)
                : failed(settings_.name + ": cannot read the guest's figures: " + *answer);
}

Status VirtualMachine::wait_workload_end(std::uint64_t timeout_ms) {
  return wait([this] { return exit_code_.has_value(); }, timeout_ms, "the workload's end");
}

std::string VirtualMachine::last_words() const {
  std::string words = tail_of(settings_.folder + "/" + settings_.name + ".qemu") +
                      tail_of(settings_.qemu.console_path);
  return words.empty() ? "" : "; its last words:\n" + words;
}

}  // namespace fallow::lab
