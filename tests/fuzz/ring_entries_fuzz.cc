// A hostile client of the rings: the input is a script of what it does, in order or not. While a
// client has kept the rules, what it gets back is checked against a model.
//
//   0..31, flags, length(8), bytes    a control message: the type is the command modulo 14, laid
//                                     over zeros of the right size; `flags` spoils the header or
//                                     chooses descriptors
//   32..127, choice, object, index    an entry that is right unless `choice` says otherwise
//   128..143, offset(16), length(8), bytes   written into a queue's memory
//   144..151, value(32)               stored in one of a queue's index words
//   152..155                          a region is cut, or has a hole punched into it
//   156..159                          a doorbell is rung
//   160..163                          a queue is opened
//   164..167                          a region is registered
//   168..171                          a queue is closed
//   172..175                          a region is unregistered
//   176..179, what                    a thread begins to rewrite queues or regions, or ends
//   180..183                          the client leaves and comes again
//   184..255                          the loop turns
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/temp_dir.h"
#include "checking_device.h"
#include "frontend/ring/disk.h"
#include "frontend/ring/doorkeeper.h"
#include "frontend/ring/pages.h"
#include "frontend/ring/session_group.h"
#include "frontend/ring/test_client.h"
#include "ring/memory_report.h"

namespace fallow::fuzz {
namespace {

using namespace ring;  // NOLINT: all of this file is about it

constexpr std::uint64_t kFrames = 256;
constexpr std::uint64_t kTarget = 64;
constexpr std::uint64_t kDiskPages = 64;
constexpr std::uint64_t kRegionPages = 4;
constexpr std::size_t kKept = 4;  // queues and regions that the script can name

class Script {
 public:
  explicit Script(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    const auto got = take(1);
    return got.empty() ? std::uint8_t{0} : got[0];
  }
  std::uint32_t number(unsigned bytes) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) {
      value |= static_cast<std::uint32_t>(byte()) << (8 * i);
    }
    return value;
  }
  std::span<const std::uint8_t> take(std::size_t size) {
    const auto got = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(got.size());
    return got;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

// Rewrites the memory that it is given, as fast as it can.
class Mutator {
 public:
  Mutator() : thread_([this] { run(); }) {}
  ~Mutator() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  void set_targets(std::vector<std::span<std::byte>> targets) {
    {
      const std::lock_guard lock(mutex_);
      targets_ = std::move(targets);
    }
    changed_.notify_one();
  }

 private:
  void run() {
    std::uint64_t seed = 1;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      changed_.wait(lock, [this] { return stopping_ || !targets_.empty(); });
      for (int i = 0; i < 16 && !targets_.empty(); ++i) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        rewrite(targets_[(seed >> 20) % targets_.size()], seed);
      }
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    }
  }
  static void rewrite(std::span<std::byte> target, std::uint64_t seed) {
    // The lines of indices are changed seldom: a client that breaks a rule is gone at once.
    const std::size_t floor = seed % 1024 == 0 ? 0 : kSubmissionsOffset;
    const std::size_t begin = target.size() > floor ? floor : 0;
    const std::size_t at = begin + (seed >> 33) % (target.size() - begin);
    reinterpret_cast<volatile std::byte&>(target[at]) = static_cast<std::byte>(seed >> 56);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::span<std::byte>> targets_;  // guarded by mutex_
  bool stopping_ = false;                      // guarded by mutex_
  std::thread thread_;
};

class Fixture {
 public:
  Fixture()
      : arena_(make_arena(dir_.path())),
        store_(std::move(*tmem::Store::create(arena_, clock_, {.hash_seed = 7}))),
        loop_(std::move(*EventLoop::create())),
        sessions_(*loop_, clock_) {
    set_log_level(LogLevel::kError);
    CHECK(loop_->watch(device_.event_fd(), [this] { device_.poll(); }).ok());
    auto keeper = Doorkeeper::create(
        *loop_, clock_, shared_, {path(), std::nullopt, Epoch(1), limits_.connections},
        [this](Attach attach, Connection& connection) { return welcome(attach, connection); });
    CHECK(keeper.ok());
    doorkeeper_ = std::move(*keeper);
  }

  void run(std::span<const std::uint8_t> bytes) {
    Script script(bytes);
    connect((script.byte() & 1) != 0 ? Attach::kDisk : Attach::kPages);
    while (!script.empty()) {
      step(script);
    }
    disconnect();
    CHECK(device_.in_flight() == 0);
    CHECK(store_->free_frames() == kFrames);
    CHECK(shared_->queues->free() == limits_.queues);
    CHECK(shared_->queue_entries->free() == limits_.queue_entries);
    CHECK(shared_->regions->free() == limits_.regions);
  }

 private:
  struct PageName {
    std::uint32_t pool;
    std::uint64_t object;
    std::uint32_t index;
    auto operator<=>(const PageName&) const = default;
  };

  static memory::Arena make_arena(const std::string& directory) {
    memory::ArenaOptions options;
    options.directory = directory;
    options.bytes = kFrames * kPageSize;
    auto arena = memory::Arena::open(options);
    CHECK(arena.ok());
    return std::move(*arena);
  }
  [[nodiscard]] std::string path() const { return dir_.path() + "/s"; }

  Status welcome(Attach attach, Connection& connection) {
    if (attach == Attach::kDisk) {
      sessions_.add(std::move(connection),
                    std::make_unique<DiskAttachment>(sessions_.seat(), device_, Secret{}, Secret{}),
                    [](Session::End) {});
      return {};
    }
    const auto client = store_->add_client(connection.name);
    FALLOW_TRY(client);
    store_->set_target(*client, kTarget);
    const PagesAttachment::Resumed resumed{};
    const auto check = [](const MemoryReport& report) { CHECK(check_report(report).ok()); };
    sessions_.add(
        std::move(connection), std::make_unique<PagesAttachment>(*store_, *client, resumed, check),
        [this, client = *client](Session::End) { CHECK(store_->remove_client(client).ok()); });
    return {};
  }

  void connect(Attach attach) {
    attach_ = attach;
    auto client = TestClient::connect(path());
    CHECK(client.ok());
    client_.emplace(std::move(*client));
    CHECK(::fcntl(client_->fd(), F_SETFL, O_NONBLOCK) == 0);
    client_->send(TestClient::make_hello(attach, "fuzz"));
    // A client that has kept the rules is served.
    CHECK(await_answer() && client_->receive_as<Welcome>().has_value());
    honest_ = true;
    pages_.clear();
    device_.fill_with_zeros();
    disk_.assign(kDiskPages, 0);
    open_queue();
    add_region();
    for (std::uint32_t kind = 0; kind < 2 && attach == Attach::kPages; ++kind) {
      Submission entry{};
      entry.opcode = Opcode::kOpenPool;
      entry.index = kind;
      entry.object = kind;
      const auto done = carry_out(*queues_[0], entry);
      CHECK(done && done->result == 0);
      pools_[kind] = done->value;
    }
  }

  // Whatever happened, all that the client had is given back.
  void disconnect() {
    mutator_.set_targets({});
    client_.reset();
    for (auto& queue : queues_) {
      queue.reset();
    }
    for (auto& region : regions_) {
      region.reset();
    }
    for (int turns = 0; shared_->counters.connected.load() != 0; ++turns) {
      CHECK(turns < 10'000);
      turn(1);
    }
    turn(2);
  }

  void turn(int times) {
    for (int i = 0; i < times; ++i) {
      loop_->run_once(0);
    }
  }

  [[nodiscard]] bool readable() const {
    pollfd query{client_->fd(), POLLIN, 0};
    return ::poll(&query, 1, 0) == 1;
  }
  bool await_answer() {
    for (int turns = 0; turns < 100 && !readable(); ++turns) {
      turn(1);
    }
    return readable();
  }

  void step(Script& script) {
    const unsigned command = script.byte();
    if (command < 32) {
      send_control(script, command % 14);
    } else if (command < 128) {
      submit(script, command);
    } else if (command < 144) {
      write_memory(script, command);
    } else if (command < 152) {
      write_index(script, command);
    } else if (command < 156) {
      spoil_region(command);
    } else if (command < 160) {
      if (auto& queue = queues_[command % kKept]) {
        queue->ring();
      }
    } else if (command < 164) {
      open_queue();
    } else if (command < 168) {
      add_region();
    } else if (command < 172) {
      close_queue(command % kKept);
    } else if (command < 176) {
      remove_region(command % kKept);
    } else if (command < 180) {
      mutate(script.byte());
    } else if (command < 184) {
      disconnect();
      connect(command % 2 != 0 ? Attach::kDisk : Attach::kPages);
    } else {
      turn(1);
    }
  }

  void send_control(Script& script, unsigned type) {
    static constexpr std::size_t kSizes[] = {
        sizeof(ControlHeader), sizeof(Hello),        sizeof(Welcome),  sizeof(OpenQueue),
        sizeof(QueueOpened),   sizeof(CloseQueue),   sizeof(Register), sizeof(Registered),
        sizeof(Unregister),    sizeof(Done),         sizeof(Refused),  sizeof(Keep),
        sizeof(Goodbye),       sizeof(ControlHeader)};
    honest_ = false;
    const unsigned flags = script.byte();
    std::vector<std::byte> packet(kSizes[type] + (flags % 4 == 3 ? 1 : 0));
    ControlHeader header{kMagic, static_cast<ControlType>(type),
                         static_cast<std::uint16_t>(packet.size())};
    header.magic ^= flags % 4 == 2 ? flags : 0;
    std::memcpy(packet.data(), &header, sizeof header);
    const auto body = script.take(script.byte());
    const std::size_t room = std::min(body.size(), packet.size() - sizeof header);
    if (room != 0) {
      std::memcpy(packet.data() + sizeof header, body.data(), room);
    }
    client_->send_bytes(packet, choose_fds(flags >> 4));
    turn(2);
    drop_answers();
  }
  [[nodiscard]] std::vector<int> choose_fds(unsigned choice) const {
    const auto& region = regions_[choice % kKept];
    if (choice < 4 || !region) {
      return {};
    }
    if (choice < 10) {
      return {region->file.get()};
    }
    return choice == 10 ? std::vector<int>{client_->fd()}
                        : std::vector<int>(choice - 9, region->file.get());
  }
  void drop_answers() {
    while (readable() && !client_->receive().empty()) {
    }
  }

  // Entries.

  void submit(Script& script, unsigned command) {
    const unsigned choice = script.byte();
    const std::uint32_t object = script.byte();
    const std::uint32_t index = script.byte();
    auto& queue = queues_[choice % kKept];
    const auto& region = regions_[(choice >> 2) % kKept];
    if (!queue || !region) {
      return;
    }
    if (attach_ == Attach::kPages) {
      submit_page(*queue, *region, command, choice, object % 4, index);
    } else {
      submit_block(*queue, *region, command, choice, object % kDiskPages, index);
    }
  }

  void submit_page(TestQueue& queue, const TestRegion& region, unsigned command, unsigned choice,
                   std::uint32_t object, std::uint32_t index) {
    Submission entry{};
    entry.opcode = static_cast<Opcode>(command % 9);
    entry.token = region.token;
    entry.length = entry.opcode == Opcode::kStatistics ? sizeof(Statistics)
                   : entry.opcode == Opcode::kReport   ? sizeof(MemoryReport)
                                                       : kPageSize;
    entry.address = (index % 8) * kPageSize / 2;
    entry.pool = pools_[choice % 2];
    entry.object = object;
    entry.index = entry.opcode == Opcode::kOpenPool ? choice % 2 : index;
    if (!honest_ || (choice & 0x80) != 0) {
      spoil(entry, choice, index);
      queue.submit(entry);
      return;
    }
    if (entry.address > (kRegionPages - 1) * kPageSize || entry.opcode == Opcode::kOpenPool ||
        entry.opcode == Opcode::kDestroyPool) {
      return;
    }
    check_page(queue, region, entry);
  }

  // What the client keeps an account of: pages of pool 0, which stay, and of pool 1, which may go.
  void check_page(TestQueue& queue, const TestRegion& region, const Submission& entry) {
    const PageName name{entry.pool, entry.object, entry.index};
    std::byte* at = region.memory.data() + entry.address;
    const unsigned seed = ++seed_ % 8 == 0 ? 0 : seed_;
    const bool says = entry.opcode == Opcode::kPut || entry.opcode == Opcode::kReport;
    fill(at, says ? seed : 0xbad);
    const auto done = carry_out(queue, entry);
    CHECK(done.has_value());
    const bool stays = entry.pool == pools_[0];
    const auto known = pages_.find(name);
    switch (entry.opcode) {
      case Opcode::kPut:
        CHECK(done->result == 0 || done->result == -EDQUOT || done->result == -ENOSPC);
        pages_.erase(name);
        if (done->result == 0) {
          pages_[name] = seed;
        }
        return;
      case Opcode::kGet:
        if (done->result == 0) {
          CHECK(known != pages_.end() && holds(at, known->second));
        } else {
          CHECK(done->result == -ENOENT && (known == pages_.end() || !stays));
        }
        return;
      case Opcode::kFlushPage:
        CHECK(!stays || done->result == (known != pages_.end() ? 1 : 0));
        pages_.erase(name);
        return;
      case Opcode::kFlushObject: {
        const auto count = std::erase_if(pages_, [&](const auto& page) {
          return page.first.pool == name.pool && page.first.object == name.object;
        });
        CHECK(done->result == 0 && (!stays || done->value == count));
        return;
      }
      case Opcode::kReport:
        CHECK(done->result == (seed == 0 ? 0 : -EINVAL));  // of zeros, or of nonsense
        return;
      default:
        CHECK(done->result == 0);
    }
  }

  void submit_block(TestQueue& queue, const TestRegion& region, unsigned command, unsigned choice,
                    std::uint64_t page, std::uint32_t index) {
    Submission entry{};
    entry.opcode = static_cast<Opcode>(16 + command % 7);
    entry.token = region.token;
    entry.length = entry.opcode == Opcode::kSync ? 0 : kPageSize;
    entry.address = (index % kRegionPages) * kPageSize;
    entry.object = page * kPageSize;
    if (!honest_ || (choice & 0x80) != 0) {
      spoil(entry, choice, index);
      queue.submit(entry);
      return;
    }
    check_block(queue, region, entry, page);
  }

  void check_block(TestQueue& queue, const TestRegion& region, const Submission& entry,
                   std::uint64_t page) {
    std::byte* at = region.memory.data() + entry.address;
    const unsigned seed = ++seed_;
    fill(at, entry.opcode == Opcode::kWrite ? seed : 0xbad);
    const auto done = carry_out(queue, entry);
    CHECK(done.has_value());
    if (entry.opcode == static_cast<Opcode>(22)) {
      CHECK(done->result == -EINVAL);
      return;
    }
    CHECK(done->result == 0);
    if (entry.opcode == Opcode::kRead) {
      CHECK(holds(at, disk_[page]));
    } else if (entry.opcode == Opcode::kWrite) {
      disk_[page] = seed;
    } else if (entry.opcode == Opcode::kDiscard || entry.opcode == Opcode::kWriteZeroes) {
      disk_[page] = 0;
    } else if (entry.opcode == Opcode::kExtent) {
      CHECK(done->value == 1);
    }
  }

  // Makes an entry wrong, or many at once; from now on nothing is believed.
  void spoil(Submission& entry, unsigned choice, std::uint32_t index) {
    honest_ = false;
    switch ((choice >> 4) % 8) {
      case 0:
        return;
      case 1:
        entry.token += index;
        return;
      case 2:
        entry.address = std::uint64_t{index} << (index % 64);
        return;
      case 3:
        entry.length = static_cast<std::uint32_t>(index << (index % 32));
        return;
      case 4:
        entry.pool = index;
        return;
      case 5:
        entry.object = std::uint64_t{index} << (index % 64);
        return;
      case 6:
        entry.opcode = static_cast<Opcode>(index);
        return;
      case 7:
        entry.flags = static_cast<std::uint8_t>(index);
        return;
    }
  }

  std::optional<Completion> carry_out(TestQueue& queue, Submission entry) {
    entry.user_data = ++user_data_;
    queue.submit(entry);
    for (int turns = 0; turns < 1000; ++turns) {
      turn(1);
      if (const auto done = queue.poll()) {
        CHECK(done->user_data == user_data_);
        return done;
      }
    }
    return std::nullopt;
  }

  // A seed of 0 is a page of zeros.
  static void fill(std::byte* page, unsigned seed) {
    for (std::size_t i = 0; i < kPageSize; i += 8) {
      const std::uint64_t word = seed * (0x9e3779b97f4a7c15 + (i << 32));
      std::memcpy(page + i, &word, sizeof word);
    }
  }
  static bool holds(const std::byte* page, unsigned seed) {
    std::array<std::byte, kPageSize> expected;
    fill(expected.data(), seed);
    return std::memcmp(page, expected.data(), kPageSize) == 0;
  }

  // Memory.

  void write_memory(Script& script, unsigned command) {
    const std::uint32_t offset = script.number(2);
    const auto bytes = script.take(script.byte());
    if (auto& queue = queues_[command % kKept]) {
      honest_ = false;
      const auto memory = queue->memory();
      const std::size_t at = offset % memory.size();
      const std::size_t size = std::min(bytes.size(), memory.size() - at);
      if (size != 0) {
        std::memcpy(memory.data() + at, bytes.data(), size);
      }
    }
  }
  void write_index(Script& script, unsigned command) {
    const std::uint32_t value = script.number(4);
    if (auto& queue = queues_[command % kKept]) {
      honest_ = false;
      ClientLine& line = queue->head().client;
      std::uint32_t* words[] = {&line.submitted, &line.consumed, &line.waiting};
      std::atomic_ref(*words[value % 3]).store(value >> 8);
    }
  }
  void spoil_region(unsigned command) {
    auto& region = regions_[command % kKept];
    if (!region) {
      return;
    }
    honest_ = false;
    if (command % 2 == 0) {
      // This side's mapping goes, as it would fault as well.
      mutator_.set_targets({});
      CHECK(::ftruncate(region->file.get(), kPageSize) == 0);
      region.reset();
    } else {
      CHECK(::fallocate(region->file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                        kRegionPages * kPageSize) == 0);
    }
  }
  void mutate(unsigned what) {
    std::vector<std::span<std::byte>> targets;
    for (std::size_t i = 0; i < kKept; ++i) {
      if ((what & 1) != 0 && queues_[i]) {
        targets.push_back(queues_[i]->memory());
      }
      if ((what & 2) != 0 && regions_[i]) {
        targets.emplace_back(regions_[i]->memory.data(), regions_[i]->memory.size());
      }
    }
    honest_ = honest_ && targets.empty();
    mutator_.set_targets(std::move(targets));
  }

  // What the client asks for by the book. A client that has kept the rules gets it.

  template <typename Answer, typename Message>
  std::optional<Answer> ask(const Message& message, std::span<const int> fds = {}) {
    drop_answers();
    client_->send(message, fds);
    if (!await_answer()) {
      CHECK(!honest_);
      return std::nullopt;
    }
    const auto answer = client_->receive_as<Answer>();
    CHECK(answer.has_value() || !honest_);
    return answer;
  }

  void open_queue() {
    const auto free = std::find(queues_.begin(), queues_.end(), std::nullopt);
    if (free == queues_.end()) {
      return;
    }
    auto open = make_message<OpenQueue>();
    open.entries = 8;
    const auto opened = ask<QueueOpened>(open);
    if (opened && client_->fds().size() == 2) {
      *free =
          std::make_optional<TestQueue>(opened->queue, opened->entries,
                                        std::move(client_->fds()[0]), std::move(client_->fds()[1]));
    }
  }
  void close_queue(std::size_t number) {
    if (auto& queue = queues_[number]) {
      mutator_.set_targets({});
      auto message = make_message<CloseQueue>();
      message.queue = queue->number();
      queue.reset();
      ask<Done>(message);
    }
  }
  void add_region() {
    const auto free = std::find_if(regions_.begin(), regions_.end(),
                                   [](const auto& region) { return !region.has_value(); });
    if (free == regions_.end()) {
      return;
    }
    TestRegion region;
    region.file = UniqueFd(::memfd_create("fuzz", MFD_CLOEXEC));
    CHECK(::ftruncate(region.file.get(), kRegionPages * kPageSize) == 0);
    region.memory = std::move(*Mapping::map_shared(region.file.get(), 0, kRegionPages * kPageSize));
    auto message = make_message<Register>();
    message.bytes = kRegionPages * kPageSize;
    const int fds[] = {region.file.get()};
    if (const auto registered = ask<Registered>(message, fds)) {
      region.token = registered->token;
      free->emplace(std::move(region));
    }
  }
  void remove_region(std::size_t number) {
    if (auto& region = regions_[number]) {
      mutator_.set_targets({});
      auto message = make_message<Unregister>();
      message.token = region->token;
      region.reset();
      ask<Done>(message);
    }
  }

  TempDir dir_{"/dev/shm"};
  SystemClock clock_;
  memory::Arena arena_;
  std::unique_ptr<tmem::Store> store_;
  const Limits limits_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>(limits_);
  CheckingDevice device_{kDiskPages * kPageSize};
  std::unique_ptr<EventLoop> loop_;
  SessionGroup sessions_;
  std::unique_ptr<Doorkeeper> doorkeeper_;

  Attach attach_ = Attach::kPages;
  std::optional<TestClient> client_;
  std::array<std::optional<TestQueue>, kKept> queues_;
  std::array<std::optional<TestRegion>, kKept> regions_;
  std::array<std::uint32_t, 2> pools_{};
  Mutator mutator_;

  bool honest_ = true;                  // the client has kept the rules so far
  std::map<PageName, unsigned> pages_;  // what it has put, by seed
  std::vector<unsigned> disk_;          // what it has written, by page
  unsigned seed_ = 0;
  std::uint64_t user_data_ = 0;
};

}  // namespace
}  // namespace fallow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fallow::fuzz::Fixture fixture;
  fixture.run({data, size});
  return 0;
}
