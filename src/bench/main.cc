// fallow-bench: runs benchmark cases and prints their ratios.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/bench_case.h"

namespace fallow::bench {
namespace {

struct Arguments {
  std::vector<std::string> names;
  bool quick = false;
  bool json = false;
  bool list = false;
};

// "<= 0.5": what the ratio must be; "report" where nothing is promised.
std::string promise(const Result& result) {
  if (!result.promised) {
    return "report";
  }
  char text[32];
  std::snprintf(text, sizeof text, "%s %g",
                result.better == "higher" ? ">=" : "<=", *result.promised);
  return text;
}

void print_skipped(const Result& result, const Arguments& arguments) {
  if (arguments.json) {
    const nlohmann::ordered_json line = {{"case", result.name}, {"skipped", result.skipped}};
    std::cout << line.dump() << std::endl;
    return;
  }
  std::printf("%-32s skipped: %s\n", result.name.c_str(), result.skipped.c_str());
  std::fflush(stdout);
}

void print(const Result& result, const Arguments& arguments) {
  if (!result.skipped.empty()) {
    print_skipped(result, arguments);
    return;
  }
  if (arguments.json) {
    nlohmann::ordered_json line = {{"case", result.name},        {"ours", result.median.ours},
                                   {"peer", result.median.peer}, {"ratio", result.ratio()},
                                   {"unit", result.unit},        {"better", result.better}};
    if (result.promised) {
      line["promised"] = *result.promised;
      line["met"] = result.met();
    }
    if (!result.note.empty()) {
      line["note"] = result.note;
    }
    if (arguments.quick) {
      line["quick"] = true;
    }
    std::cout << line.dump() << std::endl;
    return;
  }
  const int digits = result.median.ours < 100 ? 3 : 1;
  const char* met = !result.promised ? "" : result.met() ? "yes" : "NO";
  const std::string note = result.note.empty() ? "" : " (" + result.note + ")";
  std::printf("%-32s %14.*f %14.*f %9.3f %9s %-5s  %s, %s is better%s\n", result.name.c_str(),
              digits, result.median.ours, digits, result.median.peer, result.ratio(),
              promise(result).c_str(), met, result.unit.c_str(), result.better.c_str(),
              note.c_str());
  std::fflush(stdout);
}

bool wanted(const Arguments& arguments, const std::string& name) {
  return arguments.names.empty() ||
         std::find(arguments.names.begin(), arguments.names.end(), name) != arguments.names.end();
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& part : {store_cases(), compress_cases(), ring_cases(), vhost_cases(),
                           nbd_cases(), swap_cases(), pager_cases(), program_cases()}) {
    cases.insert(cases.end(), part.begin(), part.end());
  }
  return cases;
}

int run(const Arguments& arguments) {
  const std::vector<Case> cases = all_cases();
  for (const std::string& name : arguments.names) {
    const auto known = [&name](const Case& one) { return one.name == name; };
    if (std::none_of(cases.begin(), cases.end(), known)) {
      std::cerr << "fallow-bench: no case '" << name << "': see --list\n";
      return 2;
    }
  }
  if (!arguments.json && !arguments.list) {
    std::printf("%-32s %14s %14s %9s %9s %-5s\n", "case", "ours", "peer", "ratio", "promised",
                "met");
  }
  const Settings settings{arguments.quick ? Settings::Length::kQuick : Settings::Length::kFull};
  for (const Case& one : cases) {
    if (arguments.list) {
      std::printf("%-32s %s\n", one.name.c_str(), one.about.c_str());
    } else if (wanted(arguments, one.name)) {
      std::fprintf(stderr, "running %s ...\n", one.name.c_str());
      print(one.run(one, settings), arguments);
    }
  }
  return 0;
}

}  // namespace
}  // namespace fallow::bench

int main(int argc, char** argv) {
  fallow::bench::Arguments arguments;
  CLI::App app{"Benchmarks: ours and the peer in one run", "fallow-bench"};
  app.add_option("CASE", arguments.names, "cases to run (default: all)");
  app.add_flag("--quick", arguments.quick, "a smoke run: small, and its figures mean nothing");
  app.add_flag("--json", arguments.json, "one JSON object a line");
  app.add_flag("--list", arguments.list, "list the cases");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return fallow::bench::run(arguments);
}
