#include "kernel_build_like/build.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "kernel_build_like/source.h"

namespace fallow::guests {
namespace {

std::string write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return file ? "" : "cannot write " + path + ": is the disk full?";
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// "" when it ended with 0.
std::string end_of(Child& process, const std::string& what) {
  const int code = process.wait();
  return code == 0 ? "" : what + " failed with exit code " + std::to_string(code);
}

std::string run_to_end(const std::vector<std::string>& arguments, const Child::Settings& settings,
                       const std::string& what) {
  auto started = Child::start(arguments, settings);
  if (auto* error = std::get_if<std::string>(&started)) {
    return *error;
  }
  return end_of(std::get<Child>(started), what);
}

}  // namespace

Build::Build(const BuildOptions& options) : options_(options), folder_("kernel-build-like") {
  ::setenv("TMPDIR", folder_.path().c_str(), 1);
  // Or nothing would be compiled after the first time.
  ::setenv("CCACHE_DISABLE", "1", 1);
}

std::string Build::write_sources() {
  std::string error = folder_.error();
  for (std::uint64_t i = 0; i < options_.units && error.empty(); ++i) {
    names_.push_back("unit_" + std::to_string(i));
    const Unit unit = make_unit(options_.seed, i, parts_in(options_.megabytes));
    error = write_file(path(names_.back() + ".cc"), unit_source(unit));
  }
  if (error.empty()) {
    names_.emplace_back("main");
    error = write_file(path("main.cc"), main_source(options_.units));
  }
  return error;
}

std::string Build::iterate() {
  std::string error = compile_all();
  error = error.empty() ? compare_objects() : error;
  error = error.empty() ? link() : error;
  return error.empty() ? run_result() : error;
}

std::string Build::compile_all() {
  std::vector<Compilation> running;
  std::string error;
  for (std::size_t i = 0; (i < names_.size() || !running.empty()) && error.empty();) {
    const bool full = running.size() == options_.jobs || i == names_.size();
    error = full ? wait_for_one(running) : start(names_[i++], running);
  }
  return error;
}

std::string Build::start(const std::string& name, std::vector<Compilation>& running) const {
  // Names without the folder, which may be in an object file.
  auto started =
      Child::start({options_.compiler, "-std=c++17", "-O1", "-c", name + ".cc", "-o", name + ".o"},
                   {folder_.path(), -1});
  if (auto* error = std::get_if<std::string>(&started)) {
    return *error;
  }
  running.push_back({name, std::move(std::get<Child>(started))});
  return "";
}

std::string Build::wait_for_one(std::vector<Compilation>& running) const {
  const pid_t ended = Child::next_ended();
  const auto one = std::find_if(running.begin(), running.end(), [ended](const Compilation& each) {
    return each.process.pid() == ended;
  });
  if (one == running.end()) {
    return "a process ended that is no compilation";
  }
  std::string error = end_of(one->process, "compiling " + one->name + ".cc");
  running.erase(one);
  return error;
}

std::string Build::compare_objects() {
  std::vector<std::uint64_t> objects;
  for (const std::string& name : names_) {
    Fingerprint sum;
    sum.add_text(read_file(path(name + ".o")));
    objects.push_back(sum.value());
  }
  first_objects_ = first_objects_.empty() ? objects : first_objects_;
  const auto [first, other] =
      std::mismatch(first_objects_.begin(), first_objects_.end(), objects.begin());
  if (first != first_objects_.end()) {
    const auto number = static_cast<std::size_t>(first - first_objects_.begin());
    return names_[number] + ".o is other than the first time: memory came back wrong";
  }
  return "";
}

std::string Build::link() const {
  std::vector<std::string> arguments = {options_.compiler, "-o", "result"};
  for (const std::string& name : names_) {
    arguments.push_back(name + ".o");
  }
  return run_to_end(arguments, {folder_.path(), -1}, "linking");
}

std::string Build::run_result() {
  const int out =
      ::open(path("output").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (out < 0) {
    return "cannot write " + path("output") + ": " + std::strerror(errno);
  }
  std::string error = run_to_end({path("result")}, {folder_.path(), out}, "running the result");
  ::close(out);
  const std::string text = read_file(path("output"));
  printed_.add_text(text);
  if (error.empty() &&
      text != main_output(options_.seed, options_.units, parts_in(options_.megabytes))) {
    error = "what the result printed is wrong: memory came back wrong";
  }
  return error;
}

std::uint64_t Build::objects() const {
  Fingerprint sum;
  for (const std::uint64_t object : first_objects_) {
    sum.add(object);
  }
  return sum.value();
}

}  // namespace fallow::guests
