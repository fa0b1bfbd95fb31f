// Units and identifiers. Strong types, so that pages are never added to bytes by accident.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace fallow {

inline constexpr std::size_t kPageSize = 4096;
inline constexpr unsigned kPageShift = 12;
static_assert(kPageSize == std::size_t{1} << kPageShift);

// An identifier that cannot be mixed up with another kind of identifier.
template <typename Tag, typename Rep>
struct Id {
  Rep value{};
  constexpr Id() = default;
  explicit constexpr Id(Rep v) : value(v) {}
  auto operator<=>(const Id&) const = default;
};

using NodeId = Id<struct NodeIdTag, std::uint16_t>;      // a host's daemon
using ClientId = Id<struct ClientIdTag, std::uint32_t>;  // whoever owns pages: a VM, a process
using PoolId = Id<struct PoolIdTag, std::uint32_t>;      // a client's set of pages
using Epoch = Id<struct EpochTag, std::uint32_t>;        // which life of a node

// A number of 4 KiB pages (or frames: a frame holds one page).
struct Pages {
  std::uint64_t count{};
  constexpr Pages() = default;
  explicit constexpr Pages(std::uint64_t n) : count(n) {}
  [[nodiscard]] constexpr std::uint64_t bytes() const { return count << kPageShift; }
  // Rounds down.
  static constexpr Pages from_bytes(std::uint64_t bytes) { return Pages(bytes >> kPageShift); }
  auto operator<=>(const Pages&) const = default;
  constexpr Pages operator+(Pages other) const { return Pages(count + other.count); }
  constexpr Pages operator-(Pages other) const { return Pages(count - other.count); }
};

}  // namespace fallow

template <typename Tag, typename Rep>
struct std::hash<fallow::Id<Tag, Rep>> {
  std::size_t operator()(fallow::Id<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};
