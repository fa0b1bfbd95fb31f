#include "recording/file.h"

#include <lz4.h>
#include <xxhash.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "base/file.h"
#include "recording/bytes.h"

namespace fallow::recording {
namespace {

enum class BlockKind : std::uint32_t {
  kNode = 1,
  kOperations = 2,
  kNotes = 3,
  kMarks = 4,
  kEnd = 5,
};

struct Head {
  BlockKind kind{};
  std::uint32_t entries = 0;
  std::uint32_t raw_bytes = 0;
  std::uint32_t packed_bytes = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(Head) == 24);

constexpr std::size_t kRawMax = std::size_t{4} << 20;
constexpr std::size_t kOperationsPerBlock = 32'768;
constexpr std::size_t kNotesPerBlock = 64;
constexpr std::size_t kMarksPerBlock = 1024;
constexpr std::size_t kCurvePointsMax = 4096;
constexpr std::size_t kAfterMax = 1024;
constexpr std::size_t kNotesMax = 1 << 22;
constexpr std::size_t kFileBytesMax = std::size_t{4} << 30;

std::uint64_t checksum_of(Head head, std::string_view packed) {
  head.checksum = XXH3_64bits(packed.data(), packed.size());
  return XXH3_64bits(&head, sizeof head);
}

std::string block(BlockKind kind, std::size_t entries, std::string_view raw) {
  std::string packed(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(raw.size()))),
                     '\0');
  const int bytes = LZ4_compress_default(raw.data(), packed.data(), static_cast<int>(raw.size()),
                                         static_cast<int>(packed.size()));
  const bool shorter = bytes > 0 && static_cast<std::size_t>(bytes) < raw.size();
  const std::string_view body =
      shorter ? std::string_view(packed.data(), static_cast<std::size_t>(bytes)) : raw;
  Head head{.kind = kind,
            .entries = static_cast<std::uint32_t>(entries),
            .raw_bytes = static_cast<std::uint32_t>(raw.size()),
            .packed_bytes = static_cast<std::uint32_t>(body.size())};
  head.checksum = checksum_of(head, body);
  return std::string(reinterpret_cast<const char*>(&head), sizeof head).append(body);
}

// One block for each so many.
template <typename Entry, typename Encode>
std::string blocks(BlockKind kind, std::span<const Entry> entries, std::size_t most,
                   Encode encode) {
  std::string all;
  for (std::size_t at = 0; at < entries.size(); at += most) {
    const auto some = entries.subspan(at, std::min(most, entries.size() - at));
    ByteWriter writer;
    for (const Entry& entry : some) {
      encode(writer, entry);
    }
    all += block(kind, some.size(), writer.bytes());
  }
  return all;
}

void write(ByteWriter& writer, const ClientNote& note) {
  writer.number(note.at_ns);
  writer.number(note.client);
  writer.text(note.name);
  writer.number(static_cast<std::uint8_t>(note.is_disk));
  writer.number(note.quota_min);
  writer.number(note.quota_max);
  writer.number(note.quota_weight);
  writer.number(note.ram_limit_pages);
  writer.number(note.resident_pages);
  writer.number(note.faults_total);
  writer.number(note.evictions_total);
  const std::size_t points = std::min(note.curve.size(), kCurvePointsMax);
  writer.number(static_cast<std::uint32_t>(points));
  for (std::size_t i = 0; i < points; ++i) {
    writer.number(note.curve[i].pages);
    writer.number(note.curve[i].misses_per_million);
  }
}

ClientNote read_note(ByteReader& reader) {
  ClientNote note;
  note.at_ns = reader.number<std::uint64_t>();
  note.client = reader.number<std::uint32_t>();
  note.name = reader.text();
  note.is_disk = reader.number<std::uint8_t>() != 0;
  note.quota_min = reader.number<std::uint64_t>();
  note.quota_max = reader.number<std::uint64_t>();
  note.quota_weight = reader.number<std::uint32_t>();
  note.ram_limit_pages = reader.number<std::uint64_t>();
  note.resident_pages = reader.number<std::uint64_t>();
  note.faults_total = reader.number<std::uint64_t>();
  note.evictions_total = reader.number<std::uint64_t>();
  const auto points = reader.number<std::uint32_t>();
  if (points > kCurvePointsMax) {
    reader.spoil();
  }
  for (std::uint32_t i = 0; i < points && reader.ok(); ++i) {
    const auto pages = reader.number<std::uint64_t>();
    note.curve.push_back({pages, reader.number<std::uint32_t>()});
  }
  return note;
}

void write(ByteWriter& writer, const Mark& mark) {
  writer.number(mark.at_ns);
  writer.number(mark.id);
  writer.number(mark.kind);
  writer.text(mark.client);
  writer.number(mark.delay_ns);
  const std::size_t after = std::min(mark.after.size(), kAfterMax);
  writer.number(static_cast<std::uint32_t>(after));
  for (std::size_t i = 0; i < after; ++i) {
    writer.number(mark.after[i]);
  }
}

Mark read_mark(ByteReader& reader) {
  Mark mark;
  mark.at_ns = reader.number<std::uint64_t>();
  mark.id = reader.number<std::uint32_t>();
  const auto kind = reader.number<std::uint8_t>();
  mark.kind = static_cast<MarkKind>(kind);
  mark.client = reader.text();
  mark.delay_ns = reader.number<std::uint64_t>();
  const auto after = reader.number<std::uint32_t>();
  if (kind >= kMarkKinds || after > kAfterMax || mark.id == 0) {
    reader.spoil();
  }
  for (std::uint32_t i = 0; i < after && reader.ok(); ++i) {
    mark.after.push_back(reader.number<std::uint32_t>());
  }
  return mark;
}

std::string bytes_of(const NodeNote& node) {
  ByteWriter writer;
  writer.number(node.started_ns);
  writer.number(node.frames);
  writer.number(node.interval_ns);
  writer.text(node.policy);
  writer.text(node.version);
  return writer.bytes();
}

bool plausible(const Operation& operation) {
  return static_cast<std::uint8_t>(operation.kind) < kKinds &&
         static_cast<std::uint8_t>(operation.outcome) < kOutcomes;
}

// Reads one file, block by block.
class Parser {
 public:
  explicit Parser(std::string_view bytes) : left_(bytes) {}

  Result<Recording> parse() {
    if (left_.substr(0, kMagic.size()) != kMagic) {
      return invalid("it is no recording: see `fallow record`");
    }
    left_.remove_prefix(kMagic.size());
    while (!recording_.whole) {
      const Result<bool> more = take_block();
      FALLOW_TRY(more);
      if (!*more) {
        break;
      }
    }
    if (number_ == 0) {
      return invalid("it ends within its beginning: record again");
    }
    sort();
    return std::move(recording_);
  }

 private:
  [[nodiscard]] Error damaged(const std::string& what) const {
    return invalid("block " + std::to_string(number_ + 1) + " of the recording " + what +
                   ": record again");
  }

  // False: there is no other that is whole.
  Result<bool> take_block() {
    Head head;
    if (left_.size() < sizeof head) {
      return false;
    }
    std::memcpy(&head, left_.data(), sizeof head);
    if (head.raw_bytes > kRawMax || head.packed_bytes > kRawMax ||
        head.packed_bytes > head.raw_bytes) {
      return damaged("has an impossible size");
    }
    if (left_.size() - sizeof head < head.packed_bytes) {
      return false;
    }
    const std::string_view packed = left_.substr(sizeof head, head.packed_bytes);
    if (checksum_of(head, packed) != head.checksum) {
      return damaged("is damaged");
    }
    left_.remove_prefix(sizeof head + packed.size());
    const Status taken = take(head, packed);
    FALLOW_TRY(taken);
    ++number_;
    return true;
  }

  Status take(const Head& head, std::string_view packed) {
    std::string raw(head.raw_bytes, '\0');
    if (packed.size() == raw.size()) {
      raw = packed;
    } else if (LZ4_decompress_safe(packed.data(), raw.data(), static_cast<int>(packed.size()),
                                   static_cast<int>(raw.size())) != static_cast<int>(raw.size())) {
      return damaged("cannot be unpacked");
    }
    if ((number_ == 0) != (head.kind == BlockKind::kNode)) {
      return damaged("is not in its place");
    }
    return take_entries(head, raw) ? Status() : damaged("holds what cannot be");
  }

  bool take_entries(const Head& head, std::string_view raw) {
    ByteReader reader(raw);
    switch (head.kind) {
      case BlockKind::kNode:
        return take_node(reader);
      case BlockKind::kOperations:
        return take_operations(head, raw);
      case BlockKind::kNotes:
        return take_each(head, reader, recording_.notes, read_note);
      case BlockKind::kMarks:
        return take_each(head, reader, recording_.marks, read_mark);
      case BlockKind::kEnd:
        recording_.missing = reader.number<std::uint64_t>();
        recording_.whole = reader.ok() && reader.left() == 0;
        return recording_.whole;
    }
    return false;
  }

  bool take_node(ByteReader& reader) {
    NodeNote& node = recording_.node;
    node.started_ns = reader.number<std::uint64_t>();
    node.frames = reader.number<std::uint64_t>();
    node.interval_ns = reader.number<std::uint64_t>();
    node.policy = reader.text();
    node.version = reader.text();
    return reader.ok() && reader.left() == 0;
  }

  bool take_operations(const Head& head, std::string_view raw) {
    std::vector<Operation>& all = recording_.operations;
    if (head.entries == 0 || raw.size() != std::uint64_t{head.entries} * sizeof(Operation) ||
        all.size() + head.entries > kOperationsMax) {
      return false;
    }
    const std::size_t before = all.size();
    all.resize(before + head.entries);
    std::memcpy(all.data() + before, raw.data(), raw.size());
    return std::all_of(all.begin() + static_cast<std::ptrdiff_t>(before), all.end(), plausible);
  }

  template <typename Entry>
  static bool take_each(const Head& head, ByteReader& reader, std::vector<Entry>& all,
                        Entry (*read)(ByteReader&)) {
    for (std::uint32_t i = 0; i < head.entries && reader.ok(); ++i) {
      all.push_back(read(reader));
    }
    return reader.ok() && reader.left() == 0 && all.size() <= kNotesMax;
  }

  void sort() {
    const auto by_time = [](const auto& a, const auto& b) { return a.at_ns < b.at_ns; };
    std::stable_sort(recording_.operations.begin(), recording_.operations.end(), by_time);
    std::stable_sort(recording_.notes.begin(), recording_.notes.end(), by_time);
    std::stable_sort(recording_.marks.begin(), recording_.marks.end(), by_time);
  }

  std::string_view left_;
  std::size_t number_ = 0;
  Recording recording_;
};

}  // namespace

std::string block_of(std::uint32_t kind, std::uint32_t entries, std::string_view raw) {
  return block(static_cast<BlockKind>(kind), entries, raw);
}

std::string beginning_of(const NodeNote& node) {
  return std::string(kMagic) + block(BlockKind::kNode, 1, bytes_of(node));
}

std::string blocks_of(std::span<const Operation> operations) {
  std::string all;
  for (std::size_t at = 0; at < operations.size(); at += kOperationsPerBlock) {
    const auto some = operations.subspan(at, std::min(kOperationsPerBlock, operations.size() - at));
    all += block(BlockKind::kOperations, some.size(),
                 {reinterpret_cast<const char*>(some.data()), some.size_bytes()});
  }
  return all;
}

std::string blocks_of(std::span<const ClientNote> notes) {
  return blocks(BlockKind::kNotes, notes, kNotesPerBlock,
                [](ByteWriter& writer, const ClientNote& note) { write(writer, note); });
}

std::string blocks_of(std::span<const Mark> marks) {
  return blocks(BlockKind::kMarks, marks, kMarksPerBlock,
                [](ByteWriter& writer, const Mark& mark) { write(writer, mark); });
}

std::string end_of(std::uint64_t missing) {
  ByteWriter writer;
  writer.number(missing);
  return block(BlockKind::kEnd, 1, writer.bytes());
}

Result<Recording> parse_recording(std::string_view bytes) {
  return Parser(bytes).parse();
}

Result<Recording> read_recording(const std::string& path) {
  const Result<std::string> bytes = read_text_file(path, kFileBytesMax);
  FALLOW_TRY(bytes);
  Result<Recording> recording = parse_recording(*bytes);
  if (!recording) {
    return Error{recording.error().code, path + ": " + recording.error().text};
  }
  return recording;
}

}  // namespace fallow::recording
