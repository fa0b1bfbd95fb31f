// A benchmark case: ours and the peer, measured in turn within one run, medians compared.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace fallow::bench {

struct Measurement {
  double ours = 0;
  double peer = 0;
};

struct Result {
  std::string name;
  Measurement median;
  std::string unit;
  std::string better;                // "higher" or "lower"
  std::optional<double> promised{};  // the ratio that SPECIFICATION.md promises; none: a report
  std::string skipped{};             // why there are no figures; else empty
  std::string note{};                // what the figures are to be read with
  // ours / peer: of the medians, as rounds share the machine's mood only in pairs.
  [[nodiscard]] double ratio() const { return median.peer == 0 ? 0 : median.ours / median.peer; }
  // Where nothing is promised, it is met.
  [[nodiscard]] bool met() const {
    return better == "higher" ? ratio() >= promised.value_or(0)
                              : ratio() <= promised.value_or(HUGE_VAL);
  }
};

struct Settings {
  // A smoke run: less memory, fewer rounds; its figures are not to be quoted.
  enum class Length { kFull, kQuick } length = Length::kFull;
};

struct Case {
  std::string name;
  std::string unit;
  std::string better;
  std::optional<double> promised;
  std::string about;
  std::function<Result(const Case&, const Settings&)> run;
};

std::vector<Case> store_cases();
std::vector<Case> compress_cases();
std::vector<Case> ring_cases();
std::vector<Case> vhost_cases();
std::vector<Case> nbd_cases();
std::vector<Case> swap_cases();
std::vector<Case> pager_cases();
std::vector<Case> program_cases();

// Calls the two in turn, `rounds` times each after one warm-up, and takes each side's median.
Result measure_in_turn(const Case& what, unsigned rounds, const std::function<double()>& ours,
                       const std::function<double()>& peer);

}  // namespace fallow::bench
