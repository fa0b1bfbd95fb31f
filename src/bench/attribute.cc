#include "bench/attribute.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"

namespace fallow::bench {

Status write_attribute(const std::string& path, const std::string& value) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() ||
      ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return failed_errno("cannot write '" + value + "' to '" + path + "'", errno);
  }
  return {};
}

fallow::Result<std::string> read_attribute(const std::string& path) {
  auto text = read_text_file(path, 4096);
  FALLOW_TRY(text);
  while (text->ends_with('\n')) {
    text->pop_back();
  }
  return text;
}

}  // namespace fallow::bench
