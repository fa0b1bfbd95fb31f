#include "tmem/account.h"

namespace fallow::tmem {

Counters Counters::operator-(const Counters& earlier) const {
  Counters result = *this;
  result.puts_total -= earlier.puts_total;
  result.puts_succ -= earlier.puts_succ;
  result.gets_total -= earlier.gets_total;
  result.gets_succ -= earlier.gets_succ;
  result.flushes_total -= earlier.flushes_total;
  result.pages_flushed -= earlier.pages_flushed;
  result.pages_evicted -= earlier.pages_evicted;
  result.pages_demoted -= earlier.pages_demoted;
  return result;
}

void Account::reset() {
  for (Counter* counter : {&puts_total, &puts_succ, &gets_total, &gets_succ, &flushes_total,
                           &pages_flushed, &pages_evicted, &pages_demoted, &target_}) {
    counter->store(0, std::memory_order_relaxed);
  }
  set_compresses(false);
  put_ns.reset();
  get_ns.reset();
}

Counters Account::counters() const {
  const auto read = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  Counters result;
  // Successes before totals, so that a put in between never shows more successes than puts.
  result.puts_succ = read(puts_succ);
  result.puts_total = read(puts_total);
  result.gets_succ = read(gets_succ);
  result.gets_total = read(gets_total);
  result.flushes_total = read(flushes_total);
  result.pages_flushed = read(pages_flushed);
  result.pages_evicted = read(pages_evicted);
  result.pages_demoted = read(pages_demoted);
  return result;
}

}  // namespace fallow::tmem
