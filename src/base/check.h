// CHECK stays on in every build and guards our own invariants; never use it on input from outside.
// DCHECK is for costly ones: on in debug and sanitizer builds only.
#pragma once

namespace fallow {

[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace fallow

#define CHECK(expression)                                      \
  do {                                                         \
    if (__builtin_expect(!(expression), 0)) {                  \
      ::fallow::check_failed(#expression, __FILE__, __LINE__); \
    }                                                          \
  } while (false)

#ifdef NDEBUG
#define DCHECK(expression)          \
  do {                              \
    (void)sizeof(bool(expression)); \
  } while (false)
#else
#define DCHECK(expression) CHECK(expression)
#endif
