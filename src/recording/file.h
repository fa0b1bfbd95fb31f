// The file of a recording: a word that names the format, then blocks. A block is a head of 24 bytes
// (kind, entries, bytes unpacked, bytes packed, each 32 bits, and a checksum over all of these and
// the packed bytes), and its entries packed with LZ4, or as they are where that is not shorter.
// The first block is the node's; one that says the end is the last of a recording that was ended.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "recording/operations.h"

namespace fallow::recording {

inline constexpr std::string_view kMagic = "FALLOWR1";
// So many are read at most: 2 GiB of operations, and notes of ten clients for days. A file with
// more is refused, so whoever records ends before.
inline constexpr std::uint64_t kOperationsMax = std::uint64_t{1} << 26;
inline constexpr std::uint64_t kNotesMax = std::uint64_t{1} << 22;

// Blocks, ready to be written behind each other. The word and the node's block are the beginning.
std::string beginning_of(const NodeNote& node);
std::string blocks_of(std::span<const Operation> operations);
std::string blocks_of(std::span<const ClientNote> notes);
std::string blocks_of(std::span<const Mark> marks);
// `missing`: operations that were dropped, of all.
std::string end_of(std::uint64_t missing);

// For tests: a block of any content, sealed as it should be.
std::string block_of(std::uint32_t kind, std::uint32_t entries, std::string_view raw);

// kInvalid: it is no recording, or a block of it is damaged. One that was cut off is read up to its
// last whole block, and is not `whole`.
Result<Recording> parse_recording(std::string_view bytes);
Result<Recording> read_recording(const std::string& path);

}  // namespace fallow::recording
