#include "client/failure.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace fallow::client {
namespace {

constexpr std::size_t kTextMax = 512;

thread_local const char* last = "";
thread_local char buffer[kTextMax];

}  // namespace

int fail_literal(int error, const char* literal) noexcept {
  last = literal;
  return -error;
}

int fail(int error, const std::string& text) noexcept {
  const std::size_t length = std::min(text.size(), kTextMax - 1);
  // The text may be made of the one before.
  std::memmove(buffer, text.data(), length);
  buffer[length] = '\0';
  return fail_literal(error, buffer);
}

int judge(int result) noexcept {
  switch (-result) {
    case ENOENT:
      return fail(ENOENT, "there is no such page");
    case EDQUOT:
      return fail(EDQUOT, "put refused: the client holds as many frames as its target allows");
    case ENOSPC:
      return fail(ENOSPC, "put refused: no frame is free");
    case EIO:
      return fail(EIO, "the daemon cannot give the data back: it was lost or its disk failed");
    case ESTALE:
      return fail(ESTALE, "there is no such pool: it was destroyed, or the daemon began anew");
    case ENOMEM:
      return fail(ENOMEM, "the daemon has no room for another pool");
    case EFAULT:
      return fail(EFAULT, "the daemon does not know the memory that was named");
    case EINVAL:
      return fail(EINVAL, "the daemon refuses the operation as it was asked for");
    default:
      return result >= 0
                 ? result
                 : fail(-result, std::string("the daemon answers: ") + std::strerror(-result));
  }
}

const char* last_failure() noexcept {
  return last;
}

}  // namespace fallow::client
