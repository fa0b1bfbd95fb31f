#include "agent/memory.h"

#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#ifndef SWAP_FLAG_DISCARD
#define SWAP_FLAG_DISCARD 0x10000  // linux/swap.h: both at swapon and when clusters are freed
#endif

namespace fallow::guests {
namespace {

// The number behind `key` in a file of "key value" lines; 0 when it is not there.
unsigned long long value_of(const char* path, const char* key) {
  unsigned long long value = 0;
  std::FILE* file = std::fopen(path, "re");
  char line[256];
  while (file != nullptr && std::fgets(line, sizeof(line), file) != nullptr) {
    const std::size_t length = std::strlen(key);
    if (std::strncmp(line, key, length) == 0 && std::strchr(": ", line[length]) != nullptr) {
      value = std::strtoull(line + length + 1, nullptr, 10);
      break;
    }
  }
  if (file != nullptr) {
    std::fclose(file);
  }
  return value;
}

std::string error_text(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

std::string make_swap(const char* device) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/busybox", "busybox", "mkswap", device, nullptr);
    ::_exit(127);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) {
    return error_text("mkswap");
  }
  return status == 0 ? "" : "mkswap failed";
}

}  // namespace

std::string memory_report() {
  const auto field = [](const char* name, unsigned long long value) {
    return std::string(name) + "=" + std::to_string(value);
  };
  const auto kib = [](const char* key) { return value_of("/proc/meminfo", key) * 1024; };
  return field("pswpin", value_of("/proc/vmstat", "pswpin")) + " " +
         field("pswpout", value_of("/proc/vmstat", "pswpout")) + " " +
         field("total", kib("MemTotal")) + " " + field("available", kib("MemAvailable")) + " " +
         field("swap_total", kib("SwapTotal")) + " " + field("swap_free", kib("SwapFree"));
}

std::string swap_on(const char* device) {
  if (std::string error = make_swap(device); !error.empty()) {
    return error;
  }
  return ::swapon(device, SWAP_FLAG_DISCARD) == 0 ? "" : error_text("swapon");
}

}  // namespace fallow::guests
