// fallowd: pools this host's idle memory for its VMs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <string>

#include "fallowd/daemon.h"
#include "node/config.h"

namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrong = 2;

// Each line of the error names the program: a bad file has many.
int fail(const fallow::Error& error) {
  std::size_t start = 0;
  while (start <= error.text.size()) {
    const std::size_t end = std::min(error.text.find('\n', start), error.text.size());
    std::cerr << "fallowd: " << error.text.substr(start, end - start) << "\n";
    start = end + 1;
  }
  return error.code == fallow::ErrorCode::kInvalid ? kWrong : kFailed;
}

int run(const std::string& path, bool check_only, bool discard_pages) {
  auto config = fallow::node::load_config(path);
  if (!config) {
    return fail(config.error());
  }
  if (check_only) {
    std::cout << path << " is valid\n";
    return kDone;
  }
  config->discard_pages = discard_pages;
  const fallow::Status done = fallow::run_daemon(*config);
  return done ? kDone : fail(done.error());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Pools this host's idle memory for its VMs.", "fallowd");
  std::string path = "/etc/fallow/fallowd.toml";
  bool check_only = false;
  bool discard_pages = false;
  app.add_option("--config", path, "The configuration, a TOML file")->capture_default_str();
  app.add_flag("--check", check_only, "Check the configuration and do nothing else");
  app.add_flag("--discard-pages", discard_pages,
               "Give up the pages and disks that an earlier run left in memory");
  app.set_version_flag("--version", std::string("fallowd ") + FALLOW_VERSION);
  app.footer("Exit codes: 0 stopped when asked to, 1 failed, 2 wrong use or configuration.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << "\n";
    return kDone;
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return kDone;
  } catch (const CLI::Error& error) {
    return fail(fallow::invalid(std::string(error.what()) + " (see fallowd --help)"));
  }
  return run(path, check_only, discard_pages);
}
