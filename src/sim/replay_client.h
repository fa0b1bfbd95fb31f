// One client of a replay: where its pages are, what it waits for, and how far it has come.
//
// A model of what is behind a recording's operations. A process's pager keeps what memory refuses
// in a file, pages that left together next to each other; a VM's disk keeps each page in its place.
// Reads are waited for, writes are not until so many are under way that the pager has no room left,
// or the disk no transfer.
// A page that was read back stays with the daemon, or in the file, until it is written; when it
// leaves RAM again, which nobody is told, it goes to memory if there is room (src/pager).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/disk_speed.h"
#include "node/demands.h"
#include "pager/slots.h"
#include "sim/memory.h"
#include "sim/script.h"

namespace fallow::sim {

struct ClientSettings {
  DiskSpeed backing{};
  std::uint64_t demotion_pages_per_second = 0;  // 0: off
};

struct ClientFigures {
  std::uint64_t refaults = 0;  // pages that the backing store had when they were wanted
  std::uint64_t memory_hits = 0;
  std::uint64_t refused_puts = 0;
  std::uint64_t promotions = 0;
  std::uint64_t demotions = 0;
  std::uint64_t backing_requests = 0;
  std::uint64_t backing_wait_ns = 0;  // for reads
};

class ReplayClient {
 public:
  // All must outlive it.
  ReplayClient(const ScriptClient& script, const ClientSettings& settings, Memory& memory,
               ClientId id);

  // Carries out what the client does together from `now_ns` on; returns when it goes on.
  std::uint64_t carry_out(std::span<const Event> events, std::uint64_t now_ns);
  // What its pager or its disk does by itself; returns when it wants to be called again.
  std::uint64_t follow_target(std::uint64_t now_ns);

  [[nodiscard]] ClientId id() const { return id_; }
  [[nodiscard]] const ClientFigures& figures() const { return figures_; }
  // What the daemon knows of its backing store. The curve is not among it.
  [[nodiscard]] node::DemandTotals demand() const;

 private:
  enum class Place : std::uint8_t { kNowhere, kMemory, kWithoutFrame, kFile };
  struct Page {
    Place place = Place::kNowhere;
    bool in_ram = false;        // and where `place` says
    bool leaving = false;       // is among `leaving_`
    std::uint32_t slot = 0;     // of the file
    std::uint32_t stamp = 0;    // rises with whatever changes it
    std::uint64_t left_at = 0;  // how many pages had come into RAM by then
  };
  struct InRam {
    std::uint32_t page;
    std::uint32_t stamp;
    std::uint64_t leaves_at;
  };
  struct Write {
    std::uint64_t done_ns;
    std::uint64_t pages;
  };

  void put(std::uint32_t number, bool without_frame);
  void get(std::uint32_t number, bool was_there);
  void flush(std::uint32_t number);
  void leave(InRam one);
  void let_leave();
  void take_page_out(Page& page);
  bool store(Page& page);
  void to_file(std::uint32_t number);
  void place_in_file();
  std::uint64_t read_backing(std::uint64_t now_ns);
  std::uint64_t write_backing(std::uint64_t now_ns);
  enum class Transfer { kRead, kWrite };
  std::uint64_t transfer(const std::vector<std::uint32_t>& pages, Transfer what,
                         std::uint64_t now_ns);
  [[nodiscard]] std::uint64_t arrivals() const { return std::max(gets_, puts_); }
  void look_at_target(std::uint64_t now_ns);
  void demote(std::uint64_t now_ns);
  std::vector<std::uint32_t> choose_old(std::size_t most);

  const ScriptClient& script_;
  const ClientSettings settings_;
  Memory& memory_;
  const ClientId id_;
  const std::uint64_t writes_most_;  // pages that may be on their way to the file

  std::vector<Page> pages_;
  pager::Slots slots_;
  std::uint64_t in_file_ = 0;
  DiskModel disk_;
  std::deque<Write> writes_;
  std::uint64_t writing_ = 0;  // pages in them
  std::deque<InRam> in_ram_;
  std::uint64_t gets_ = 0;
  std::uint64_t puts_ = 0;

  // Of the operations that are being carried out.
  std::vector<std::uint32_t> reads_;    // pages that the backing store has
  std::vector<std::uint32_t> leaving_;  // pages that are to be written there

  std::uint64_t next_look_ns_ = 0;
  std::uint64_t next_demotion_ns_ = 0;
  std::uint64_t offers_ = 0;
  std::uint64_t excess_ = 0;
  std::uint32_t hand_ = 0;
  ClientFigures figures_;
};

}  // namespace fallow::sim
