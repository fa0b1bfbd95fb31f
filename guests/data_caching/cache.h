// A memcached of our own, started on a socket in a private folder, and the connection to it.
#pragma once

#include <libmemcached/memcached.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/child.h"
#include "common/temp_folder.h"

namespace fallow::guests {

class Cache {
 public:
  // Of memory for `megabytes` of items. "" in error(), or why it does not run.
  Cache(const std::string& program, std::uint64_t megabytes);

  [[nodiscard]] const std::string& error() const { return error_; }
  // "", or what is wrong.
  std::string set(const std::string& key, const std::string& value);
  // Nothing when there is no such key, or `error` says why.
  std::optional<std::string> get(const std::string& key, std::string& error);

 private:
  std::string start(const std::string& program, std::uint64_t megabytes);
  std::string wait_ready();
  std::string connect();
  [[nodiscard]] std::string failure(memcached_return_t code) const;
  [[nodiscard]] std::string socket() const { return folder_.path() + "/socket"; }

  struct Free {
    void operator()(memcached_st* client) const { memcached_free(client); }
  };
  TempFolder folder_;
  Child server_;  // ends before its folder goes
  std::unique_ptr<memcached_st, Free> client_;
  std::string error_;
};

}  // namespace fallow::guests
