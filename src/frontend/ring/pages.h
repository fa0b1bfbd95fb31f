// A client with pages of its own in the store: what its entries do, all at once but for the two
// that walk a whole pool, which are done part by part.
//
// A client names pools by numbers of its own saying, so each is looked up among those that this
// client has opened. One thread, the session's.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/units.h"
#include "frontend/ring/executor.h"
#include "tmem/store.h"

namespace fallow::ring {

class PagesAttachment final : public Attachment {
 public:
  static constexpr std::size_t kPoolsMax = 256;  // of one client

  struct Resumed {
    Secret secret;  // for the client to come back with
    bool resumed = false;
  };
  // Where what the client says of its memory goes.
  using Reports = std::function<void(const MemoryReport&)>;
  // The store outlives it.
  PagesAttachment(tmem::Store& store, ClientId client, const Resumed& resumed, Reports reports)
      : store_(store), client_(client), resumed_(resumed), reports_(std::move(reports)) {}

  void introduce(Welcome& welcome) const override;
  Status keep(std::uint32_t seconds) override;
  std::unique_ptr<Executor> make_executor(Regions& regions, Executor::Sink& sink,
                                          std::uint32_t entries) override;

 private:
  friend class PagesExecutor;
  struct OpenPool {
    PoolId id;
    std::uint64_t label;
    tmem::PoolKind kind;
    bool going = false;  // a queue is destroying it: no other may use it, nor open its label again
  };

  [[nodiscard]] bool owns(std::uint32_t pool);
  [[nodiscard]] OpenPool* find_label(std::uint64_t label);
  // A pool, or an errno value. The label's pool must not be going.
  [[nodiscard]] Answer open_pool(std::uint32_t kind, std::uint64_t label);
  void set_going(std::uint32_t pool, bool going);
  void forget_pool(std::uint32_t pool);

  tmem::Store& store_;
  const ClientId client_;
  const Resumed resumed_;
  const Reports reports_;
  std::vector<OpenPool> pools_;
  std::size_t last_ = 0;  // where owns() found its pool the last time
};

}  // namespace fallow::ring
