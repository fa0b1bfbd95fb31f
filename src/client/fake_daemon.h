// A daemon for the library's tests: keeps pages in maps, and dies when a test wants it to, at a
// chosen entry, with or without having said what it did last.
//
// The State is what outlives it, as the real one's arena would. One thread serves; the methods are
// for the test's.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/units.h"
#include "ring/abi.h"

namespace fallow::client {

class FakeDaemon {
 public:
  struct State {
    using Page = std::array<std::byte, kPageSize>;
    using Pages = std::map<std::pair<std::uint64_t, std::uint32_t>, Page>;  // object, index
    std::map<std::uint64_t, Pages> pools;                                   // by label
    std::vector<std::byte> disk;
  };

  struct Settings {
    bool resumed = true;                     // what it says to clients that come back
    std::uint32_t first_pool = 1;            // how it numbers pools, in the order of their opening
    std::uint64_t entries_max = UINT64_MAX;  // carries out so many and dies
    bool says_last = true;                   // shows the completion of the entry that it dies at
    int refuses_regions = 0;                 // an errno value
    std::uint16_t version = ring::kVersionLast;
    bool completes_wrongly = false;  // answers the first entry with another's user data
    std::uint32_t queues_max = 64;
    int refuses_to_keep = 0;  // an errno value
  };

  // Listens when this returns.
  FakeDaemon(std::string socket, State& state, const Settings& settings);
  FakeDaemon(std::string socket, State& state);
  // Dies, with whatever is in flight.
  ~FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  [[nodiscard]] std::uint64_t entries() const { return entries_.load(); }
  [[nodiscard]] unsigned hellos() const { return hellos_.load(); }
  [[nodiscard]] bool came_back() const { return came_back_.load(); }  // one with our secret
  [[nodiscard]] std::uint32_t keep_seconds() const { return keep_seconds_.load(); }
  // The last one; not while one is under way.
  [[nodiscard]] const ring::MemoryReport& report() const { return report_; }
  [[nodiscard]] unsigned goodbyes() const { return goodbyes_.load(); }
  [[nodiscard]] unsigned regions() const { return regions_.load(); }
  [[nodiscard]] unsigned queues() const { return queues_.load(); }
  [[nodiscard]] bool dead() const { return dead_.load(); }

 private:
  struct Peer;

  void serve();
  bool serve_peer(Peer& peer);
  void accept_peers();
  bool answer(Peer& peer);
  void welcome(Peer& peer, const ring::Hello& hello);
  void open_queue(Peer& peer, const ring::OpenQueue& request);
  bool work(Peer& peer);
  ring::Completion carry_out(Peer& peer, const ring::Submission& entry);
  ring::Completion on_page(Peer& peer, const ring::Submission& entry, State::Pages& pages);
  ring::Completion on_disk(Peer& peer, const ring::Submission& entry);
  State::Pages* pool_of(const ring::Submission& entry);
  void die();

  const std::string socket_;
  State& state_;
  const Settings settings_;
  UniqueFd listener_;
  std::vector<std::unique_ptr<Peer>> peers_;
  ring::MemoryReport report_{};
  std::vector<std::uint64_t> labels_;  // of the pools that were opened in this life
  std::atomic<std::uint64_t> entries_{0};
  std::atomic<unsigned> hellos_{0};
  std::atomic<bool> came_back_{false};
  std::atomic<std::uint32_t> keep_seconds_{0};
  std::atomic<unsigned> goodbyes_{0};
  std::atomic<unsigned> regions_{0};
  std::atomic<unsigned> queues_{0};
  std::atomic<bool> dead_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace fallow::client
