// A folder of sources that are compiled again and again, each time with the same result.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/child.h"
#include "common/mix.h"
#include "common/temp_folder.h"
#include "kernel_build_like/options.h"

namespace fallow::guests {

class Build {
 public:
  // `options` must outlive it. What the compiler keeps in files is in its folder, too.
  explicit Build(const BuildOptions& options);

  // Each: "", or what is wrong.
  std::string write_sources();
  // Compiles everything, links it and runs it.
  std::string iterate();

  // Of all object files of the last iteration, and of all that was printed so far.
  [[nodiscard]] std::uint64_t objects() const;
  [[nodiscard]] std::uint64_t printed() const { return printed_.value(); }

 private:
  struct Compilation {
    std::string name;
    Child process;
  };
  std::string compile_all();
  std::string start(const std::string& name, std::vector<Compilation>& running) const;
  std::string wait_for_one(std::vector<Compilation>& running) const;
  std::string compare_objects();
  std::string link() const;
  std::string run_result();

  [[nodiscard]] std::string path(const std::string& name) const {
    return folder_.path() + "/" + name;
  }

  const BuildOptions& options_;
  TempFolder folder_;
  std::vector<std::string> names_;            // of the sources, without their ending
  std::vector<std::uint64_t> first_objects_;  // fingerprints, in the same order
  Fingerprint printed_;
};

}  // namespace fallow::guests
