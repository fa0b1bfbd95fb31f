#include "kernel_build_like/source.h"

#include <algorithm>
#include <map>
#include <vector>

#include "common/mix.h"
#include "common/report.h"

namespace fallow::guests {
namespace {

constexpr std::uint64_t kSizes = 4;
constexpr std::uint64_t kRounds = 40;
constexpr std::uint64_t kKeys = 23;
constexpr int kDepth = 6;

// What g++ 12 takes by itself, and for each part at the most.
constexpr std::uint64_t kBaseKilobytes = 74'000;
constexpr std::uint64_t kPartKilobytes = 9'000;
static_assert(kBaseKilobytes + kPartKilobytes <= kCompileMegabytesMin << 10);

// Each part makes the compiler instantiate a map, a vector, a sort and a recursive template anew.
constexpr const char* kHead = R"(#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace {

using Word = unsigned long long;

constexpr Word mix(Word word) {
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ULL;
  word = (word ^ (word >> 27)) * 0x94d049bb133111ebULL;
  return word ^ (word >> 31);
}

template <Word Part>
struct Box {
  Word word = 0;
  bool operator<(const Box& other) const { return word < other.word; }
};

template <Word Part, int Depth>
struct Chain {
  static Word of(Word word) { return mix(Chain<Part, Depth - 1>::of(word) + Part); }
};
template <Word Part>
struct Chain<Part, 0> {
  static Word of(Word word) { return word; }
};

template <Word Part>
Word part(Word word) {
  std::map<std::string, Box<Part>> counts;
  std::vector<Box<Part>> boxes;
  for (int i = 0; i < ROUNDS; ++i) {
    word = Chain<Part, DEPTH>::of(word);
    counts[std::to_string(word % KEYS)].word += word;
    boxes.push_back({word});
  }
  std::sort(boxes.begin(), boxes.end());
  for (const auto& entry : counts) {
    word = mix(word + entry.second.word + entry.first.size());
  }
  for (const auto& box : boxes) {
    word = mix(word + box.word);
  }
  return word;
}

}  // namespace

)";

std::uint64_t part_word(const Unit& unit, std::uint64_t part) {
  return mix(mix(unit.seed, unit.number), part);
}

std::string literal(std::uint64_t word) {
  return printed("0x%llxULL", static_cast<unsigned long long>(word));
}

// The part of the source above, in this program.
std::uint64_t part_value(std::uint64_t part, std::uint64_t word) {
  std::map<std::string, std::uint64_t> counts;
  std::vector<std::uint64_t> boxes;
  for (std::uint64_t i = 0; i < kRounds; ++i) {
    for (int depth = 0; depth < kDepth; ++depth) {
      word = mix(word + part);
    }
    counts[std::to_string(word % kKeys)] += word;
    boxes.push_back(word);
  }
  std::sort(boxes.begin(), boxes.end());
  for (const auto& entry : counts) {
    word = mix(word + entry.second + entry.first.size());
  }
  for (const std::uint64_t box : boxes) {
    word = mix(word + box);
  }
  return word;
}

std::string defined(const char* name, std::uint64_t value) {
  return std::string("#define ") + name + " " + std::to_string(value) + "\n";
}

}  // namespace

Unit make_unit(std::uint64_t seed, std::uint64_t number, std::uint64_t parts_max) {
  return {seed, number, std::max<std::uint64_t>(parts_max >> (number % kSizes), 1)};
}

std::string unit_source(const Unit& unit) {
  std::string text = defined("ROUNDS", kRounds) + defined("KEYS", kKeys) + defined("DEPTH", kDepth);
  text += kHead;
  text += "unsigned long long unit_" + std::to_string(unit.number) + "() {\n";
  text += "  Word word = " + std::to_string(unit.number) + ";\n";
  for (std::uint64_t part = 0; part < unit.parts; ++part) {
    text += "  word = part<" + literal(part_word(unit, part)) + ">(word);\n";
  }
  return text + "  return word;\n}\n";
}

std::uint64_t unit_value(const Unit& unit) {
  std::uint64_t word = unit.number;
  for (std::uint64_t part = 0; part < unit.parts; ++part) {
    word = part_value(part_word(unit, part), word);
  }
  return word;
}

std::string main_source(std::uint64_t units) {
  std::string functions;
  std::string calls;
  for (std::uint64_t number = 0; number < units; ++number) {
    const std::string name = "unit_" + std::to_string(number) + "()";
    functions += "unsigned long long " + name + ";\n";
    calls += "  std::printf(\"%016llx\\n\", " + name + ");\n";
  }
  return "#include <cstdio>\n\n" + functions + "\nint main() {\n" + calls + "}\n";
}

std::string main_output(std::uint64_t seed, std::uint64_t units, std::uint64_t parts_max) {
  std::string text;
  for (std::uint64_t number = 0; number < units; ++number) {
    text +=
        printed("%016llx\n",
                static_cast<unsigned long long>(unit_value(make_unit(seed, number, parts_max))));
  }
  return text;
}

std::uint64_t parts_in(std::uint64_t megabytes) {
  return ((megabytes << 10) - kBaseKilobytes) / kPartKilobytes;
}

}  // namespace fallow::guests
