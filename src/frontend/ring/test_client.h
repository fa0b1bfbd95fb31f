// The client's side of the ring ABI, written down plainly: for tests and fuzz targets of the
// daemon's side. It does what it is told, wrong or right. One thread, but for what the memory
// itself allows.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "ring/control_messages.h"

namespace fallow::ring {

class TestQueue {
 public:
  TestQueue(std::uint32_t number, std::uint32_t entries, UniqueFd memory, UniqueFd doorbell);

  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] QueueHead& head() { return *reinterpret_cast<QueueHead*>(memory_.data()); }
  [[nodiscard]] Submission& submission(std::uint32_t index);
  [[nodiscard]] std::span<std::byte> memory() const { return {memory_.data(), memory_.size()}; }
  [[nodiscard]] int memory_fd() const { return memory_fd_.get(); }
  [[nodiscard]] int doorbell() const { return doorbell_.get(); }

  // Publishes the entry and rings if the daemon sleeps.
  void submit(const Submission& entry);
  void ring() const;
  // The next completion, if there is one.
  std::optional<Completion> poll();
  // The next completion, waiting up to ten seconds for it.
  std::optional<Completion> wait();
  // submit() and wait().
  Completion run(const Submission& entry);

 private:
  std::uint32_t number_;
  std::uint32_t entries_;
  UniqueFd memory_fd_;
  UniqueFd doorbell_;
  Mapping memory_;
  std::uint32_t submitted_ = 0;
  std::uint32_t consumed_ = 0;
};

// A registered region: a memfd and this side's mapping of it.
struct TestRegion {
  UniqueFd file;
  Mapping memory;
  std::uint32_t token = 0;
};

class TestClient {
 public:
  static Result<TestClient> connect(const std::string& path);
  explicit TestClient(UniqueFd socket) : socket_(std::move(socket)) {}

  static Hello make_hello(Attach attach, std::string_view name);
  // Sends Hello and reads the answer; none when it is no Welcome.
  std::optional<Welcome> hello(Attach attach, std::string_view name);
  std::optional<TestQueue> open_queue(std::uint32_t entries);
  std::optional<TestRegion> add_region(std::uint64_t bytes);
  // Whether the daemon agrees.
  bool keep(std::uint32_t seconds);

  template <typename Message>
  void send(const Message& message, std::span<const int> fds = {}) {
    send_bytes(std::as_bytes(std::span(&message, 1)), fds);
  }
  void send_bytes(std::span<const std::byte> bytes, std::span<const int> fds = {});
  // The next answer, waiting up to ten seconds; empty when the daemon has closed the connection.
  std::vector<std::byte> receive();
  // The next answer if it is of this type.
  template <typename Message>
  std::optional<Message> receive_as() {
    const auto packet = receive();
    const auto type = check_packet(packet);
    return type && *type == kTypeOf<Message> ? std::optional(read_message<Message>(packet))
                                             : std::nullopt;
  }
  [[nodiscard]] std::vector<UniqueFd>& fds() { return fds_; }  // of the last answer
  // Whether the daemon closes the connection within ten seconds.
  bool closed();

  [[nodiscard]] int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }

 private:
  UniqueFd socket_;
  std::vector<UniqueFd> fds_;
};

}  // namespace fallow::ring
