// An export of a FakeBlockDevice on a loop thread of its own, for tests.
#pragma once

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/check.h"
#include "base/temp_dir.h"
#include "frontend/vhost_user/fake_block_device.h"
#include "frontend/vhost_user/vhost_user_blk.h"

namespace fallow::vhost_user {

class TestExport {
 public:
  explicit TestExport(FakeBlockDevice::Completion completion = FakeBlockDevice::Completion::kAtOnce,
                      std::uint64_t size_bytes = 4 << 20, ExportOptions options = {})
      : device_(size_bytes, completion) {
    auto loop = EventLoop::create();
    CHECK(loop.ok());
    loop_ = std::move(*loop);
    options.name = "test";
    options.socket_path = path();
    options.serial = "fallow-test";
    auto made = VhostUserBlk::create(*loop_, device_, options);
    CHECK(made.ok());
    export_ = std::move(*made);
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~TestExport() { stop(); }

  // Stops the export gracefully and its loop.
  void stop() {
    if (!thread_.joinable()) {
      return;
    }
    loop_->post([this] {
      export_->stop([this] {
        export_.reset();
        loop_->stop();
      });
    });
    thread_.join();
  }

  // Runs `work` on the loop's thread and waits for it.
  void on_loop(const std::function<void()>& work) {
    std::promise<void> finished;
    loop_->post([&] {
      work();
      finished.set_value();
    });
    finished.get_future().wait();
  }

  // Lets the loop turn until `condition` holds, asked on the loop's thread.
  void wait_until(const std::function<bool()>& condition) {
    bool holds = false;
    while (!holds) {
      on_loop([&] { holds = condition(); });
    }
  }

  [[nodiscard]] std::string path() const { return dir_.path() + "/disk.sock"; }
  FakeBlockDevice& device() { return device_; }
  VhostUserBlk& exported() { return *export_; }
  [[nodiscard]] ExportStatistics statistics() const { return export_->statistics(); }

 private:
  TempDir dir_;
  FakeBlockDevice device_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<VhostUserBlk> export_;
  std::thread thread_;
};

}  // namespace fallow::vhost_user
