#include "lab/guest.h"

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

Result<std::unique_ptr<Guest>> Guest::start(LabLoop& loop, GuestSettings settings) {
  std::unique_ptr<Guest> guest(new Guest(loop, std::move(settings)));
  FALLOW_TRY(guest->listen());
  FALLOW_TRY(guest->spawn());
  return guest;
}

Guest::~Guest() {
  for (const int fd : {listener_.get(), channel_.get(), process_ ? process_->fd() : -1}) {
    if (fd >= 0) {
      loop_.events().unwatch(fd);
    }
  }
  if (process_) {
    process_->end(kEndGraceMs);
  }
}

Status Guest::listen() {
  auto listener = listen_unix(settings_.channel_socket(), 1);
  if (!listener) {
    return listener.error();
  }
  listener_ = std::move(*listener);
  return loop_.events().watch(listener_.get(), [this] { accept(); });
}

Status Guest::spawn() {
  auto process = ChildProcess::spawn(settings_.command, settings_.output_path());
  if (!process) {
    return process.error();
  }
  process_.emplace(*std::move(process));
  // Its end only has to wake the loop; every wait looks at alive() itself.
  return loop_.events().watch(process_->fd(), [this] { loop_.events().unwatch(process_->fd()); });
}

void Guest::accept() {
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

void Guest::read() {
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

void Guest::take(const GuestLine& line) {
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

Status Guest::wait(const std::function<bool()>& done, std::uint64_t timeout_ms,
                   const std::string& what) {
  const auto over = [&] { return done() || !alive(); };
  const Status status = loop_.wait_until(over, timeout_ms, settings_.name + ": " + what);
  if (!status) {
    return failed(status.error().text + (loop_.interrupted() ? "" : last_words()));
  }
  return done() ? Status()
                : failed(settings_.name + ": " + settings_.program + " ended before " + what +
                         last_words());
}

Status Guest::wait_ready(std::uint64_t timeout_ms) {
  return wait([this] { return ready_; }, timeout_ms, "the guest's boot");
}

void Guest::send(const std::string& line) {
  const std::string bytes = line + "\n";
  answers_.clear();
  if (line.starts_with("start ")) {
    exit_code_.reset();
  }
  // A line fits the socket's buffer; if the program is gone, the wait for the answer says so.
  [[maybe_unused]] const ssize_t sent =
      ::send(channel_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

Result<std::string> Guest::receive_answer(std::uint64_t timeout_ms) {
  FALLOW_TRY(wait([this] { return !answers_.empty(); }, timeout_ms, "the guest's answer"));
  const GuestLine answer = answers_.front();
  answers_.pop_front();
  if (answer.kind == LineKind::kFailed) {
    return failed(settings_.name + ": " + answer.text);
  }
  return answer.text;
}

Result<std::string> Guest::command(const std::string& line, std::uint64_t timeout_ms) {
  send(line);
  return receive_answer(timeout_ms);
}

Result<GuestMemory> Guest::memory(std::uint64_t timeout_ms) {
  const auto answer = command("memory", timeout_ms);
  if (!answer) {
    return answer.error();
  }
  const auto memory = parse_guest_memory(*answer);
  return memory ? Result<GuestMemory>(*memory)
                : failed(settings_.name + ": cannot read the guest's figures: " + *answer);
}

Status Guest::start_workload(const std::vector<std::string>& words, std::uint64_t timeout_ms) {
  std::string line = "start";
  for (const std::string& word : words) {
    line += " " + word;
  }
  const auto answer = command(line, timeout_ms);
  return answer ? Status() : answer.error();
}

Status Guest::wait_workload_end(std::uint64_t timeout_ms) {
  return wait([this] { return exit_code_.has_value(); }, timeout_ms, "the workload's end");
}

Status Guest::power_off(std::uint64_t timeout_ms) {
  send("poweroff");
  return loop_.wait_until([this] { return !alive(); }, timeout_ms, settings_.name + ": its end");
}

std::string Guest::last_words() const {
  std::string words = tail_of(settings_.output_path()) + tail_of(settings_.console_path());
  return words.empty() ? "" : "; its last words:\n" + words;
}

}  // namespace fallow::lab
