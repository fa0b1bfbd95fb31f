#include "bench/cache_client.h"

#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/check.h"
#include "base/log.h"
#include "base/units.h"
#include "bench/server_process.h"

namespace fallow::bench {
namespace {

constexpr std::size_t kRequestMax = 64;
constexpr std::size_t kBatchMax = 64;

// Keys have one length, so that every answer has one too.
struct Format {
  const char* get;
  const char* put;  // before the value
  std::string_view put_answer;
  std::string_view value_head;  // before the value, but for what follows '%'
  std::string_view value_tail;
};

constexpr Format kFormats[] = {
    {"*2\r\n$3\r\nGET\r\n$8\r\nk%07u\r\n", "*3\r\n$3\r\nSET\r\n$8\r\nk%07u\r\n$4096\r\n", "+OK\r\n",
     "$4096\r\n", "\r\n"},
    {"get k%07u\r\n", "set k%07u 0 0 4096\r\n", "STORED\r\n", "VALUE k0000000 0 4096\r\n",
     "\r\nEND\r\n"},
};

const Format& format_of(CacheClient::Protocol protocol) {
  return kFormats[static_cast<std::size_t>(protocol)];
}

[[noreturn]] void stop(const char* what) {
  log_error("peer-failed", {{"what", what}});
  std::exit(1);
}

}  // namespace

CacheClient::CacheClient(Protocol protocol, const std::string& socket)
    : protocol_(protocol),
      socket_(connect_unix(socket, SOCK_STREAM)),
      requests_(kBatchMax * kRequestMax),
      answers_(kBatchMax * (kPageSize + kRequestMax)) {
  CHECK(socket_.valid());
}

void CacheClient::put(std::span<const std::uint32_t> keys, const std::byte* page) {
  static char end[] = "\r\n";
  CHECK(keys.size() <= kBatchMax);
  char* request = requests_.data();
  parts_.clear();
  for (const std::uint32_t key : keys) {
    const int length = std::snprintf(request, kRequestMax, format_of(protocol_).put, key);
    parts_.push_back({request, static_cast<std::size_t>(length)});
    parts_.push_back({const_cast<std::byte*>(page), kPageSize});
    parts_.push_back({end, 2});
    request += length;
  }
  send(parts_);
  const std::string_view answer = format_of(protocol_).put_answer;
  receive(keys.size() * answer.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (std::memcmp(&answers_[i * answer.size()], answer.data(), answer.size()) != 0) {
      stop("a value was not stored");
    }
  }
}

std::size_t CacheClient::value_bytes() const {
  const Format& format = format_of(protocol_);
  return format.value_head.size() + kPageSize + format.value_tail.size();
}

void CacheClient::get(std::span<const std::uint32_t> keys) {
  CHECK(keys.size() <= kBatchMax);
  char* request = requests_.data();
  for (const std::uint32_t key : keys) {
    request += std::snprintf(request, kRequestMax, format_of(protocol_).get, key);
  }
  parts_.assign(1, {requests_.data(), static_cast<std::size_t>(request - requests_.data())});
  send(parts_);
  receive(keys.size() * value_bytes());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (answers_[i * value_bytes()] != format_of(protocol_).value_head[0]) {
      stop("a value is missing");
    }
  }
}

void CacheClient::send(std::vector<iovec>& parts) {
  std::span<iovec> left = parts;
  while (!left.empty()) {
    const ssize_t sent = ::writev(socket_.get(), left.data(),
                                  static_cast<int>(std::min<std::size_t>(left.size(), IOV_MAX)));
    if (sent < 0) {
      stop("writing to the peer");
    }
    auto bytes = static_cast<std::size_t>(sent);
    while (!left.empty() && bytes >= left[0].iov_len) {
      bytes -= left[0].iov_len;
      left = left.subspan(1);
    }
    if (bytes > 0) {
      left[0] = {static_cast<char*>(left[0].iov_base) + bytes, left[0].iov_len - bytes};
    }
  }
}

void CacheClient::receive(std::size_t bytes) {
  for (std::size_t at = 0; at < bytes;) {
    const ssize_t got = ::recv(socket_.get(), answers_.data() + at, answers_.size() - at, 0);
    if (got <= 0) {
      stop("reading from the peer");
    }
    at += static_cast<std::size_t>(got);
    if (at > bytes) {
      stop("the peer answers more than it was asked for");
    }
  }
}

}  // namespace fallow::bench
