#include "lab/run_recorder.h"

#include <filesystem>

namespace fallow::lab {

RunRecorder::RunRecorder(const node::ControlClient& client, const Scenario& scenario,
                         std::string path)
    : client_(client),
      path_(std::move(path)),
      new_path_(path_ + ".new"),
      file_(new_path_),
      marks_(scenario) {}

RunRecorder::~RunRecorder() {
  join();
  if (!whole_) {
    std::error_code error;
    std::filesystem::remove(new_path_, error);
  }
}

void RunRecorder::join() {
  stopped_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

Status RunRecorder::start() {
  auto begun = begun_.get_future();
  thread_ = std::thread([this] {
    bool told = false;
    status_ = file_.record(client_, [&](const node::RecordedFigures& figures) {
      if (!told) {
        told = true;
        started_ns_ = figures.started_ns;
        begun_.set_value();
      }
      return stopped_.load();
    });
    if (!told) {
      begun_.set_value();
    }
  });
  begun.wait();
  if (started_ns_ != 0) {
    return {};
  }
  join();
  return status_ ? failed("the daemon does not record") : status_;
}

Status RunRecorder::end() {
  join();
  FALLOW_TRY(status_);
  if (file_.figures().full) {
    return failed(
        "the run does more than one recording holds: run the scenario at a smaller scale");
  }
  FALLOW_TRY(file_.end(marks_.marks()));
  std::error_code error;
  std::filesystem::rename(new_path_, path_, error);
  whole_ = !error;
  return whole_ ? Status()
                : failed_errno("cannot rename " + new_path_ + " to " + path_, error.value());
}

}  // namespace fallow::lab
