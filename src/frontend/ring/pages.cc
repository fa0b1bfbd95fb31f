#include "frontend/ring/pages.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ring/memory_report.h"

namespace fallow::ring {

using tmem::GetResult;
using tmem::PageKey;
using tmem::PoolKind;
using tmem::PutResult;

namespace {

static_assert(static_cast<int>(PoolKind::kPersistent) == 0 &&
                  static_cast<int>(PoolKind::kEphemeral) == 1,
              "the ABI's numbers");

std::int32_t result_of(PutResult result) {
  switch (result) {
    case PutResult::kStored:
      return 0;
    case PutResult::kOverTarget:
      return -EDQUOT;
    case PutResult::kNoFrame:
      return -ENOSPC;
    case PutResult::kNoPool:
      break;
  }
  return -ESTALE;
}

PageKey key_of(const Submission& entry) {
  return {PoolId(entry.pool), entry.object, entry.index};
}

std::int32_t result_of(GetResult result) {
  switch (result) {
    case GetResult::kFound:
      return 0;
    case GetResult::kMissing:
      return -ENOENT;
    case GetResult::kLost:
      break;
  }
  return -EIO;
}

// Of opening a pool.
std::int32_t result_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return -EINVAL;
    case ErrorCode::kNotFound:
      return -ESTALE;
    default:
      return -ENOMEM;
  }
}

std::uint32_t clamped(std::uint64_t count) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, UINT32_MAX));
}

}  // namespace

class PagesExecutor final : public Executor {
 public:
  PagesExecutor(PagesAttachment& pages, Regions& regions) : pages_(pages), regions_(regions) {}
  ~PagesExecutor() override {
    if (unfinished_ && walk_.opcode == Opcode::kDestroyPool) {
      pages_.set_going(walk_.pool, false);  // nobody was told that it had gone
    }
  }

  Step begin(const Submission& entry, Answer& answer) override {
    switch (entry.opcode) {
      case Opcode::kPut:
      case Opcode::kGet:
        answer.result = move(entry);
        return Step::kAnswered;
      case Opcode::kFlushPage:
        answer.result = flush_page(entry);
        return Step::kAnswered;
      case Opcode::kFlushObject:
      case Opcode::kDestroyPool:
        return begin_walk(entry, answer);
      case Opcode::kOpenPool:
        walk_ = entry;
        return open_pool(answer);
      case Opcode::kStatistics:
        answer.result = statistics(entry);
        return Step::kAnswered;
      case Opcode::kReport:
        answer.result = report(entry);
        return Step::kAnswered;
      case Opcode::kNop:
        return Step::kAnswered;
      default:
        answer.result = -EINVAL;
        return Step::kAnswered;
    }
  }

  void foresee(const Submission& entry, Nearness nearness) override {
    if (entry.opcode != Opcode::kGet || !pages_.owns(entry.pool)) {
      return;  // a put waits for nothing: what it writes goes past the cache
    }
    if (nearness == Nearness::kSome) {
      pages_.store_.prefetch_place(key_of(entry));
    } else {
      pages_.store_.prefetch_page(key_of(entry));
    }
  }

  Step go_on(Answer& answer) override {
    const Step step = walk_.opcode == Opcode::kOpenPool ? open_pool(answer) : walk_on(answer);
    unfinished_ = step == Step::kUnfinished;
    return step;
  }

 private:
  std::int32_t move(const Submission& entry) {
    if (entry.length != kPageSize) {
      return -EINVAL;
    }
    std::byte* page = regions_.find(entry.token, entry.address, kPageSize);
    if (page == nullptr) {
      return -EFAULT;
    }
    if (!pages_.owns(entry.pool)) {
      return -ESTALE;
    }
    if (entry.opcode == Opcode::kPut) {
      return result_of(pages_.store_.put(key_of(entry), page));
    }
    return result_of(pages_.store_.get(key_of(entry), page));
  }

  std::int32_t flush_page(const Submission& entry) {
    if (!pages_.owns(entry.pool)) {
      return -ESTALE;
    }
    return pages_.store_.flush_page(key_of(entry)) ? 1 : 0;
  }

  Step begin_walk(const Submission& entry, Answer& answer) {
    if (!pages_.owns(entry.pool)) {
      answer.result = -ESTALE;
      return Step::kAnswered;
    }
    if (entry.opcode == Opcode::kDestroyPool) {
      pages_.set_going(entry.pool, true);  // so that no other queue fills it meanwhile
    }
    walk_ = entry;
    walked_parts_ = 0;
    walked_pages_ = 0;
    unfinished_ = true;
    return Step::kUnfinished;
  }

  // One part a turn: each holds a shard's lock for as long as it takes.
  Step walk_on(Answer& answer) {
    const std::optional<std::uint64_t> object =
        walk_.opcode == Opcode::kFlushObject ? std::optional(walk_.object) : std::nullopt;
    walked_pages_ += pages_.store_.flush_part(PoolId(walk_.pool), object, walked_parts_);
    if (++walked_parts_ < tmem::Store::kFlushParts) {
      return Step::kUnfinished;
    }
    if (walk_.opcode == Opcode::kDestroyPool) {
      // Empty by now, so this takes no time.
      answer.result = pages_.store_.destroy_pool(PoolId(walk_.pool)) ? 0 : -ESTALE;
      pages_.forget_pool(walk_.pool);
    } else {
      answer.value = clamped(walked_pages_);
    }
    return Step::kAnswered;
  }

  // The store would find a pool that another queue is destroying: waits until it is gone.
  Step open_pool(Answer& answer) {
    const PagesAttachment::OpenPool* found = pages_.find_label(walk_.object);
    if (found != nullptr && found->going) {
      return Step::kUnfinished;
    }
    answer = pages_.open_pool(walk_.index, walk_.object);
    return Step::kAnswered;
  }

  std::int32_t statistics(const Submission& entry) {
    if (entry.length != sizeof(Statistics)) {
      return -EINVAL;
    }
    std::byte* to = regions_.find(entry.token, entry.address, sizeof(Statistics));
    if (to == nullptr) {
      return -EFAULT;
    }
    const auto of_client = pages_.store_.statistics(pages_.client_);
    if (!of_client) {
      return -ESTALE;
    }
    const tmem::Counters& total = of_client->total;
    const Statistics result{.used = of_client->used,
                            .target = of_client->target,
                            .patterns = of_client->patterns,
                            .puts_total = total.puts_total,
                            .puts_succ = total.puts_succ,
                            .gets_total = total.gets_total,
                            .gets_succ = total.gets_succ,
                            .flushes_total = total.flushes_total,
                            .pages_flushed = total.pages_flushed,
                            .pages_evicted = total.pages_evicted,
                            .node_frames = pages_.store_.total_frames(),
                            .node_frames_free = pages_.store_.free_frames()};
    std::memcpy(to, &result, sizeof result);
    return 0;
  }

  std::int32_t report(const Submission& entry) {
    if (entry.length != sizeof(MemoryReport)) {
      return -EINVAL;
    }
    const std::byte* from = regions_.find(entry.token, entry.address, sizeof(MemoryReport));
    if (from == nullptr) {
      return -EFAULT;
    }
    MemoryReport copy;
    std::memcpy(&copy, from, sizeof copy);
    if (!check_report(copy)) {
      return -EINVAL;
    }
    pages_.reports_(copy);
    return 0;
  }

  PagesAttachment& pages_;
  Regions& regions_;
  Submission walk_{};  // the entry that is unfinished
  bool unfinished_ = false;
  std::uint32_t walked_parts_ = 0;
  std::uint64_t walked_pages_ = 0;
};

void PagesAttachment::introduce(Welcome& welcome) const {
  welcome.secret = resumed_.secret;
  welcome.resumed = resumed_.resumed ? 1 : 0;
}

Status PagesAttachment::keep(std::uint32_t seconds) {
  if (seconds > kKeepSecondsMax) {
    return invalid("pages wait for at most " + std::to_string(kKeepSecondsMax) + " seconds, not " +
                   std::to_string(seconds));
  }
  store_.set_keep_seconds(client_, seconds);
  return {};
}

std::unique_ptr<Executor> PagesAttachment::make_executor(Regions& regions, Executor::Sink& /*sink*/,
                                                         std::uint32_t /*entries*/) {
  return std::make_unique<PagesExecutor>(*this, regions);
}

bool PagesAttachment::owns(std::uint32_t pool) {
  if (last_ < pools_.size() && pools_[last_].id.value == pool) {
    return !pools_[last_].going;
  }
  const auto found = std::find_if(pools_.begin(), pools_.end(),
                                  [&](const OpenPool& open) { return open.id.value == pool; });
  last_ = static_cast<std::size_t>(found - pools_.begin());
  return found != pools_.end() && !found->going;
}

PagesAttachment::OpenPool* PagesAttachment::find_label(std::uint64_t label) {
  const auto found = std::find_if(pools_.begin(), pools_.end(),
                                  [&](const OpenPool& open) { return open.label == label; });
  return found != pools_.end() ? &*found : nullptr;
}

Answer PagesAttachment::open_pool(std::uint32_t kind, std::uint64_t label) {
  if (kind > static_cast<std::uint32_t>(PoolKind::kEphemeral)) {
    return {-EINVAL, 0};
  }
  const auto wanted = static_cast<PoolKind>(kind);
  if (const OpenPool* found = find_label(label)) {
    return found->kind == wanted ? Answer{0, found->id.value} : Answer{-EINVAL, 0};
  }
  if (pools_.size() >= kPoolsMax) {
    return {-ENOMEM, 0};
  }
  const auto opened = store_.open_pool(client_, wanted, label);
  if (!opened) {
    return {result_of(opened.error().code), 0};
  }
  pools_.push_back({*opened, label, wanted});
  return {0, opened->value};
}

void PagesAttachment::set_going(std::uint32_t pool, bool going) {
  for (OpenPool& open : pools_) {
    open.going = open.id.value == pool ? going : open.going;
  }
}

void PagesAttachment::forget_pool(std::uint32_t pool) {
  std::erase_if(pools_, [&](const OpenPool& open) { return open.id.value == pool; });
}

}  // namespace fallow::ring
