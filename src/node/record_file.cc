#include "node/record_file.h"

#include <fstream>

namespace fallow::node {

Status RecordingFile::append(const std::string& bytes) {
  std::ofstream file(path_, std::ios::binary | (begun_ ? std::ios::app : std::ios::trunc));
  file << bytes;
  file.close();
  if (!file) {
    return failed("cannot write '" + path_ + "': is its disk full, and may you write there?");
  }
  begun_ = true;
  figures_.bytes += bytes.size();
  return {};
}

Status RecordingFile::record(const ControlClient& client,
                             const std::function<bool(const RecordedFigures&)>& stopped) {
  const auto ended = [&] {
    figures_.full = figures_.operations >= limits_.operations || figures_.notes >= limits_.notes;
    return stopped(figures_) || figures_.full;
  };
  return client.record(ended, [&](const RecordedPart& part) -> Status {
    if (!begun_) {
      const auto beginning = recording::parse_recording(part.blocks);
      FALLOW_TRY(beginning);
      figures_.started_ns = beginning->node.started_ns;
    }
    figures_.operations += part.operations;
    figures_.notes += part.notes;
    figures_.missing = part.missing;
    return append(part.blocks);
  });
}

Status RecordingFile::end(std::span<const recording::Mark> marks) {
  return append(recording::blocks_of(marks) + recording::end_of(figures_.missing));
}

}  // namespace fallow::node
