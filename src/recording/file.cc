#include "recording/file.h"

#include <lz4.h>
#include <xxhash.h>

#include <algorithm>
#include <type_traits>

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
constexpr std::size_t kCurvePointsMax = 64;
constexpr std::size_t kAfterMax = 1024;
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

// What a writer takes and a reader fills.
template <typename Bytes, typename Entry>
using Like = std::conditional_t<std::is_same_v<Bytes, ByteWriter>, const Entry, Entry>;

// One block for each so many; `raw` makes bytes of them.
template <typename Entry, typename Raw>
std::string blocks(BlockKind kind, std::span<const Entry> entries, std::size_t most, Raw raw) {
  std::string all;
  for (std::size_t at = 0; at < entries.size(); at += most) {
    const auto some = entries.subspan(at, std::min(most, entries.size() - at));
    all += block(kind, some.size(), raw(some));
  }
  return all;
}

// The fields of each kind of entry, in their order in the file. `bytes` is a writer or a reader.
template <typename Bytes>
void fields(Bytes& bytes, Like<Bytes, ClientNote>& note) {
  bytes.number(note.at_ns);
  bytes.number(note.client);
  bytes.text(note.name);
  bytes.flag(note.is_disk);
  bytes.number(note.quota_min);
  bytes.number(note.quota_max);
  bytes.number(note.quota_weight);
  bytes.number(note.ram_limit_pages);
  bytes.number(note.resident_pages);
  bytes.number(note.faults_total);
  bytes.number(note.evictions_total);
  bytes.list(note.curve, kCurvePointsMax, [&](auto& point) {
    bytes.number(point.pages);
    bytes.number(point.misses_per_million);
  });
}

template <typename Bytes>
void fields(Bytes& bytes, Like<Bytes, Mark>& mark) {
  bytes.number(mark.at_ns);
  bytes.number(mark.id);
  bytes.number(mark.kind);
  bytes.text(mark.client);
  bytes.number(mark.delay_ns);
  bytes.list(mark.after, kAfterMax, [&](auto& id) { bytes.number(id); });
}

template <typename Bytes>
void fields(Bytes& bytes, Like<Bytes, NodeNote>& node) {
  bytes.number(node.started_ns);
  bytes.number(node.frames);
  bytes.number(node.interval_ns);
  bytes.text(node.policy);
  bytes.text(node.version);
}

template <typename Entry>
std::string encoded(std::span<const Entry> entries) {
  ByteWriter writer;
  for (const Entry& entry : entries) {
    fields(writer, entry);
  }
  return writer.bytes();
}

bool plausible(const ClientNote& /*note*/) {
  return true;
}

bool plausible(const Mark& mark) {
  return static_cast<std::uint8_t>(mark.kind) < kMarkKinds && mark.id != 0;
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
        fields(reader, recording_.node);
        return reader.ok() && reader.left() == 0;
      case BlockKind::kOperations:
        return take_operations(head, raw);
      case BlockKind::kNotes:
        return take_each(head, reader, recording_.notes);
      case BlockKind::kMarks:
        return take_each(head, reader, recording_.marks);
      case BlockKind::kEnd:
        reader.number(recording_.missing);
        recording_.whole = reader.ok() && reader.left() == 0;
        return recording_.whole;
    }
    return false;
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
    return std::all_of(all.begin() + static_cast<std::ptrdiff_t>(before), all.end(),
                       [](const Operation& operation) { return plausible(operation); });
  }

  template <typename Entry>
  static bool take_each(const Head& head, ByteReader& reader, std::vector<Entry>& all) {
    for (std::uint32_t i = 0; i < head.entries && reader.ok(); ++i) {
      Entry& entry = all.emplace_back();
      fields(reader, entry);
      if (!plausible(entry)) {
        return false;
      }
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
  return std::string(kMagic) + block(BlockKind::kNode, 1, encoded(std::span(&node, 1)));
}

std::string blocks_of(std::span<const Operation> operations) {
  const auto raw = [](std::span<const Operation> some) {
    return std::string_view(reinterpret_cast<const char*>(some.data()), some.size_bytes());
  };
  return blocks(BlockKind::kOperations, operations, kOperationsPerBlock, raw);
}

std::string blocks_of(std::span<const ClientNote> notes) {
  return blocks(BlockKind::kNotes, notes, kNotesPerBlock, encoded<ClientNote>);
}

std::string blocks_of(std::span<const Mark> marks) {
  return blocks(BlockKind::kMarks, marks, kMarksPerBlock, encoded<Mark>);
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
