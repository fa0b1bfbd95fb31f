// The C API (include/fallow/fallow.h): arguments are checked, and no exception passes.

#include <fallow/fallow.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "client/client.h"
#include "client/disk.h"
#include "client/failure.h"
#include "client/queue.h"

struct fallow_queue {
  fallow_client* client = nullptr;
  std::unique_ptr<fallow::client::Queue> queue;
};

struct fallow_client {
  std::unique_ptr<fallow::client::Client> client;
  std::mutex mutex;
  std::vector<std::unique_ptr<fallow_queue>> queues;  // guarded by mutex
};

namespace fallow::client {
namespace {

constexpr unsigned kDepthDefault = 32;
constexpr unsigned kReconnectDefaultMs = 30'000;
constexpr const char* kSocketDefault = "/run/fallow/ring.sock";
constexpr const char* kForked = "the client belongs to the process that this one was forked from";

// Of the first version's options.
constexpr std::size_t kOptionsMin = offsetof(fallow_options, secret);

static_assert(sizeof(fallow_secret) == sizeof(ring::Secret));
static_assert(sizeof(fallow_statistics) == sizeof(ring::Statistics));
static_assert(offsetof(fallow_statistics, node_frames_free) ==
              offsetof(ring::Statistics, node_frames_free));

static_assert(sizeof(fallow_memory_report) == sizeof(ring::MemoryReport));
static_assert(offsetof(fallow_memory_report, working_set_pages) ==
              offsetof(ring::MemoryReport, working_set_pages));
static_assert(offsetof(fallow_memory_report, backing_wait_ns_total) ==
              offsetof(ring::MemoryReport, backing_wait_ns_total));
static_assert(offsetof(fallow_memory_report, curve) == offsetof(ring::MemoryReport, curve));
static_assert(offsetof(fallow_miss_ratio_point, misses_per_million) ==
              offsetof(ring::MissRatioPoint, misses_per_million));

// Runs work(queue), unless the queue cannot be used from here.
template <typename Work>
int with(fallow_queue* queue, Work work) noexcept {
  if (queue == nullptr) {
    return fail(EINVAL, "the queue is NULL");
  }
  if (!queue->client->client->ours()) {
    return fail(EINVAL, kForked);
  }
  return guarded([&] { return work(*queue->queue); });
}

template <typename Work>
int with_pages(fallow_queue* queue, Work work) noexcept {
  return with(queue, [&](Queue& inner) {
    return inner.client().has_disk()
               ? fail(EINVAL, "this client is attached to a disk, not to pages")
               : work(inner);
  });
}

int copy_options(const fallow_options* given, fallow_options& options) {
  options = {};
  if (given == nullptr) {
    return 0;
  }
  if (given->size < kOptionsMin) {
    return fail(EINVAL, "options.size is not sizeof(struct fallow_options)");
  }
  const auto* bytes = reinterpret_cast<const char*>(given);
  const auto zero = [](char byte) { return byte == 0; };
  const std::size_t known = std::min(given->size, sizeof options);
  if (!std::all_of(bytes + known, bytes + given->size, zero)) {
    return fail(EINVAL, "the options ask for what version " FALLOW_VERSION " does not know");
  }
  std::memcpy(&options, given, known);
  if (options.disk != nullptr && options.keep_seconds != 0) {
    return fail(EINVAL, "a disk stays anyway: keep_seconds is for clients with pages");
  }
  return 0;
}

// Names are letters, digits, '.', '_' and '-', and begin with a letter or digit.
std::string default_name() {
  std::string name;
  for (const char* c = ::program_invocation_short_name; *c != '\0' && name.size() < 48; ++c) {
    const bool plain =
        (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
    name += plain || (!name.empty() && (*c == '.' || *c == '_')) ? *c : '-';
  }
  return (name.empty() || name[0] == '-' ? "client" + name : name) + "-" +
         std::to_string(::getpid());
}

std::string socket_path(const fallow_options& options) {
  if (options.socket != nullptr) {
    return options.socket;
  }
  const char* set = ::secure_getenv("FALLOW_RING_SOCKET");
  return set != nullptr && *set != '\0' ? set : kSocketDefault;
}

Client::Options client_options(const fallow_options& options) {
  Client::Options made;
  made.target.socket = socket_path(options);
  made.target.attach = options.disk != nullptr ? ring::Attach::kDisk : ring::Attach::kPages;
  made.target.name = options.disk != nullptr   ? options.disk
                     : options.name != nullptr ? options.name
                                               : default_name();
  const unsigned ms =
      options.reconnect_timeout_ms != 0 ? options.reconnect_timeout_ms : kReconnectDefaultMs;
  made.reconnect_ns = std::uint64_t{ms} * 1'000'000;
  made.keep_seconds = options.keep_seconds;
  if (options.secret != nullptr) {
    made.target.secret = {{options.secret->words[0], options.secret->words[1]}};
  }
  return made;
}

Operation page_operation(ring::Opcode opcode, fallow_pool pool, std::uint64_t object,
                         std::uint32_t index, const void* page) {
  Operation operation;
  operation.opcode = opcode;
  operation.pool = pool;
  operation.object = object;
  operation.index = index;
  // Only written to by gets.
  operation.memory = const_cast<void*>(page);
  operation.length = page != nullptr ? FALLOW_PAGE_SIZE : 0;
  return operation;
}

int run_on_page(fallow_queue* queue, const Operation& operation, bool moves_data,
                std::uint32_t* value = nullptr) noexcept {
  if (moves_data && operation.memory == nullptr) {
    return fail(EINVAL, "the page is NULL");
  }
  return with_pages(queue, [&](Queue& inner) { return inner.run(operation, value); });
}

int submit_on_page(fallow_queue* queue, const Operation& operation, bool moves_data,
                   std::uint64_t user_data) noexcept {
  if (moves_data && operation.memory == nullptr) {
    return fail(EINVAL, "the page is NULL");
  }
  return with_pages(queue, [&](Queue& inner) { return inner.submit(operation, user_data); });
}

}  // namespace
}  // namespace fallow::client

namespace fc = fallow::client;
using fallow::ring::Opcode;

const char* fallow_version(void) {
  return FALLOW_VERSION;
}

const char* fallow_error(void) {
  return fc::last_failure();
}

int fallow_connect(const struct fallow_options* options, fallow_client** client) {
  return fc::guarded([&] {
    fallow_options known;
    if (client == nullptr) {
      return fc::fail(EINVAL, "there is no place for the client");
    }
    if (const int error = fc::copy_options(options, known); error != 0) {
      return error;
    }
    auto made = std::make_unique<fallow_client>();
    if (const int error = fc::Client::connect(fc::client_options(known), made->client);
        error != 0) {
      return error;
    }
    *client = made.release();
    return 0;
  });
}

void fallow_close(fallow_client* client) {
  if (client == nullptr) {
    return;
  }
  fc::guarded([&] {
    client->client->end();
    const std::unique_ptr<fallow_client> owned(client);
    owned->queues.clear();
    return 0;
  });
}

int fallow_leave(fallow_client* client) {
  if (client == nullptr || !client->client->ours() || !client->client->keeps_pages()) {
    return fc::fail(EINVAL, client == nullptr ? "the client is NULL"
                            : client->client->ours()
                                ? "without options.keep_seconds no pages would wait"
                                : fc::kForked);
  }
  return fc::guarded([&] {
    client->client->leave();
    fallow_close(client);
    return 0;
  });
}

int fallow_secret_of(fallow_client* client, struct fallow_secret* secret) {
  if (client == nullptr || secret == nullptr) {
    return fc::fail(EINVAL, "the client is NULL, or there is no place for the secret");
  }
  return fc::guarded([&] {
    const fallow::ring::Secret words = client->client->secret();
    *secret = {{words.words[0], words.words[1]}};
    return 0;
  });
}

int fallow_resumed(fallow_client* client) {
  if (client == nullptr) {
    return fc::fail(EINVAL, "the client is NULL");
  }
  return client->client->resumed() ? 1 : 0;
}

void* fallow_alloc(fallow_client* client, size_t bytes) {
  if (client == nullptr || !client->client->ours()) {
    errno = EINVAL;
    fc::fail(EINVAL, client == nullptr ? "the client is NULL" : fc::kForked);
    return nullptr;
  }
  std::byte* memory = nullptr;
  const int error = fc::guarded([&] {
    memory = client->client->allocate(bytes);
    return memory != nullptr ? 0 : -errno;
  });
  errno = error != 0 ? -error : errno;
  return memory;
}

void fallow_free(fallow_client* client, void* memory) {
  if (client == nullptr) {
    return;
  }
  fc::guarded([&] {
    client->client->release(memory);
    return 0;
  });
}

int fallow_queue_open(fallow_client* client, unsigned depth, fallow_queue** queue) {
  return fc::guarded([&] {
    if (client == nullptr || queue == nullptr) {
      return fc::fail(EINVAL, "the client is NULL, or there is no place for the queue");
    }
    if (depth > fallow::ring::kEntriesMax) {
      return fc::fail(EINVAL, "a queue's depth is 1 to 1024");
    }
    if (!client->client->ours()) {
      return fc::fail(EINVAL, fc::kForked);
    }
    auto made = std::make_unique<fallow_queue>();
    made->client = client;
    if (const int error =
            fc::Queue::open(*client->client, depth != 0 ? depth : fc::kDepthDefault, made->queue);
        error != 0) {
      return error;
    }
    const std::lock_guard lock(client->mutex);
    client->queues.push_back(std::move(made));
    *queue = client->queues.back().get();
    return 0;
  });
}

void fallow_queue_close(fallow_queue* queue) {
  if (queue == nullptr) {
    return;
  }
  fc::guarded([&] {
    std::unique_ptr<fallow_queue> owned;
    const std::lock_guard lock(queue->client->mutex);
    auto& queues = queue->client->queues;
    const auto at = std::find_if(queues.begin(), queues.end(),
                                 [&](const auto& one) { return one.get() == queue; });
    if (at != queues.end()) {
      owned = std::move(*at);
      queues.erase(at);
    }
    return 0;
  });
}

int fallow_pool_open(fallow_queue* queue, enum fallow_pool_kind kind, uint64_t label,
                     fallow_pool* pool) {
  if (pool == nullptr || (kind != FALLOW_PERSISTENT && kind != FALLOW_EPHEMERAL)) {
    return fc::fail(EINVAL, "there is no such kind of pool, or no place for the pool");
  }
  return fc::with_pages(queue, [&](fc::Queue& inner) {
    return inner.open_pool({static_cast<std::uint32_t>(kind), label}, *pool);
  });
}

int fallow_pool_destroy(fallow_queue* queue, fallow_pool pool) {
  return fc::with_pages(queue, [&](fc::Queue& inner) { return inner.destroy_pool(pool); });
}

int fallow_put(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index,
               const void* page) {
  return fc::run_on_page(queue, fc::page_operation(Opcode::kPut, pool, object, index, page), true);
}

int fallow_get(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index, void* page) {
  return fc::run_on_page(queue, fc::page_operation(Opcode::kGet, pool, object, index, page), true);
}

int fallow_flush_page(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index) {
  return fc::run_on_page(
      queue, fc::page_operation(Opcode::kFlushPage, pool, object, index, nullptr), false);
}

int fallow_flush_object(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t* pages) {
  return fc::run_on_page(queue, fc::page_operation(Opcode::kFlushObject, pool, object, 0, nullptr),
                         false, pages);
}

int fallow_get_statistics(fallow_queue* queue, struct fallow_statistics* statistics) {
  fc::Operation operation;
  operation.opcode = Opcode::kStatistics;
  operation.memory = statistics;
  operation.length = sizeof *statistics;
  return fc::run_on_page(queue, operation, true);
}

int fallow_report(fallow_queue* queue, const struct fallow_memory_report* report) {
  fc::Operation operation;
  operation.opcode = Opcode::kReport;
  operation.memory = const_cast<fallow_memory_report*>(report);  // only read
  operation.length = sizeof *report;
  if (report == nullptr) {
    return fc::fail(EINVAL, "the report is NULL");
  }
  return fc::run_on_page(queue, operation, true);
}

int fallow_submit_put(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index,
                      const void* page, uint64_t user_data) {
  return fc::submit_on_page(queue, fc::page_operation(Opcode::kPut, pool, object, index, page),
                            true, user_data);
}

int fallow_submit_get(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index,
                      void* page, uint64_t user_data) {
  return fc::submit_on_page(queue, fc::page_operation(Opcode::kGet, pool, object, index, page),
                            true, user_data);
}

int fallow_submit_flush_page(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index,
                             uint64_t user_data) {
  return fc::submit_on_page(queue,
                            fc::page_operation(Opcode::kFlushPage, pool, object, index, nullptr),
                            false, user_data);
}

int fallow_submit_flush_object(fallow_queue* queue, fallow_pool pool, uint64_t object,
                               uint64_t user_data) {
  return fc::submit_on_page(
      queue, fc::page_operation(Opcode::kFlushObject, pool, object, 0, nullptr), false, user_data);
}

int fallow_submit(fallow_queue* queue) {
  return fc::with(queue, [](fc::Queue& inner) { return inner.publish(); });
}

int fallow_poll(fallow_queue* queue, struct fallow_completion* completions, unsigned max) {
  if (completions == nullptr || max == 0) {
    return fc::fail(EINVAL, "there is no place for completions");
  }
  return fc::with(queue, [&](fc::Queue& inner) { return inner.poll(completions, max); });
}

int fallow_wait(fallow_queue* queue, struct fallow_completion* completions, unsigned max,
                int timeout_ms) {
  if (completions == nullptr || max == 0) {
    return fc::fail(EINVAL, "there is no place for completions");
  }
  return fc::with(queue,
                  [&](fc::Queue& inner) { return inner.wait(completions, max, timeout_ms); });
}

uint64_t fallow_disk_size(fallow_client* client) {
  return client != nullptr ? client->client->disk_bytes() : 0;
}

uint32_t fallow_disk_block_size(fallow_client* client) {
  return client != nullptr ? client->client->disk_block_bytes() : 0;
}

int fallow_disk_read(fallow_queue* queue, void* data, size_t length, uint64_t offset) {
  if (data == nullptr && length > 0) {
    return fc::fail(EINVAL, "the data is NULL");
  }
  return fc::with(queue,
                  [&](fc::Queue& inner) { return fc::read_disk(inner, data, length, offset); });
}

int fallow_disk_write(fallow_queue* queue, const void* data, size_t length, uint64_t offset) {
  if (data == nullptr && length > 0) {
    return fc::fail(EINVAL, "the data is NULL");
  }
  return fc::with(queue,
                  [&](fc::Queue& inner) { return fc::write_disk(inner, data, length, offset); });
}

int fallow_disk_sync(fallow_queue* queue) {
  return fc::with(queue, [](fc::Queue& inner) { return fc::sync_disk(inner); });
}

int fallow_disk_discard(fallow_queue* queue, uint64_t length, uint64_t offset) {
  return fc::with(queue, [&](fc::Queue& inner) { return fc::discard_disk(inner, length, offset); });
}

int fallow_disk_write_zeroes(fallow_queue* queue, uint64_t length, uint64_t offset) {
  return fc::with(queue, [&](fc::Queue& inner) { return fc::zero_disk(inner, length, offset); });
}

int fallow_disk_extent(fallow_queue* queue, uint64_t length, uint64_t offset, uint64_t* extent) {
  if (extent == nullptr) {
    return fc::fail(EINVAL, "there is no place for the extent");
  }
  return fc::with(
      queue, [&](fc::Queue& inner) { return fc::find_extent(inner, length, offset, *extent); });
}
