#include "data_caching/cache.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>

#include "common/report.h"

namespace fallow::guests {
namespace {

constexpr std::uint64_t kAnswerMsMax = 120'000;  // its memory may be anywhere
constexpr std::uint64_t kStartMsMax = 60'000;

bool listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected =
      probe >= 0 && ::connect(probe, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  if (probe >= 0) {
    ::close(probe);
  }
  return connected;
}

}  // namespace

Cache::Cache(const std::string& program, std::uint64_t megabytes) : folder_("data-caching") {
  error_ = start(program, megabytes);
  error_ = error_.empty() ? wait_ready() : error_;
  error_ = error_.empty() ? connect() : error_;
}

std::string Cache::start(const std::string& program, std::uint64_t megabytes) {
  if (!folder_.error().empty()) {
    return folder_.error();
  }
  if (socket().size() >= sizeof(sockaddr_un::sun_path)) {
    return "no socket can have a name as long as " + socket() + ": set TMPDIR to a shorter one";
  }
  // Room beyond what is stored, and -M: what does not fit is refused, and nothing is evicted.
  std::vector<std::string> arguments = {
      program, "-s", socket(), "-a", "0600",
      "-t",    "1",  "-M",     "-m", std::to_string(2 * megabytes + 64)};
  if (::geteuid() == 0) {
    arguments.insert(arguments.end(), {"-u", "root"});  // it wants to be told
  }
  auto started = Child::start(arguments, {});
  if (auto* error = std::get_if<std::string>(&started)) {
    return *error;
  }
  server_ = std::move(std::get<Child>(started));
  return "";
}

std::string Cache::wait_ready() {
  const std::uint64_t start_ms = now_ms();
  while (!listens(socket())) {
    if (server_.ended() || stop_requested()) {
      return "memcached ended while it started";
    }
    if (now_ms() - start_ms > kStartMsMax) {
      return "memcached does not listen on " + socket();
    }
    constexpr timespec kPause{0, 10'000'000};
    ::nanosleep(&kPause, nullptr);
  }
  return "";
}

std::string Cache::connect() {
  client_.reset(memcached_create(nullptr));
  if (client_ == nullptr) {
    return "no memory for the connection to memcached";
  }
  memcached_behavior_set(client_.get(), MEMCACHED_BEHAVIOR_POLL_TIMEOUT, kAnswerMsMax);
  const memcached_return_t code = memcached_server_add_unix_socket(client_.get(), socket().c_str());
  return code == MEMCACHED_SUCCESS ? "" : failure(code);
}

std::string Cache::failure(memcached_return_t code) const {
  return std::string("memcached: ") + memcached_strerror(client_.get(), code);
}

std::string Cache::set(const std::string& key, const std::string& value) {
  const memcached_return_t code =
      memcached_set(client_.get(), key.data(), key.size(), value.data(), value.size(), 0, 0);
  return code == MEMCACHED_SUCCESS ? "" : failure(code);
}

std::optional<std::string> Cache::get(const std::string& key, std::string& error) {
  std::size_t size = 0;
  std::uint32_t flags = 0;
  memcached_return_t code = MEMCACHED_SUCCESS;
  const std::unique_ptr<char, decltype(&std::free)> bytes(
      memcached_get(client_.get(), key.data(), key.size(), &size, &flags, &code), &std::free);
  if (code == MEMCACHED_SUCCESS) {
    return std::string(bytes.get(), size);
  }
  if (code != MEMCACHED_NOTFOUND) {
    error = failure(code);
  }
  return std::nullopt;
}

}  // namespace fallow::guests
