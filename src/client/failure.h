// What fallow_error() tells: the text of the last failure on this thread. A failure of the kind
// that a fast path meets all the time costs a pointer.
#pragma once

#include <cerrno>
#include <cstddef>
#include <new>
#include <string>

namespace fallow::client {

// Both return -error, for `return fail(EINVAL, "...")`.
template <std::size_t length>
int fail(int error, const char (&literal)[length]) noexcept;
int fail(int error, const std::string& text) noexcept;

// What the daemon answered to an operation; 0 and positive values pass.
int judge(int result) noexcept;

// "" when nothing has failed. Valid until the next failure on this thread.
const char* last_failure() noexcept;

// The text of `literal`, kept by its address.
int fail_literal(int error, const char* literal) noexcept;

template <std::size_t length>
int fail(int error, const char (&literal)[length]) noexcept {
  return fail_literal(error, literal);
}

// What work() returns; for the functions of the C API, which no exception leaves.
template <typename Work>
int guarded(Work work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return fail(ENOMEM, "no memory");
  } catch (...) {
    return fail(EIO, "an error that should not exist");
  }
}

}  // namespace fallow::client
