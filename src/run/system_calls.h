// System calls for code that must not touch libc: it runs while libc's locks may be held, or on a
// thread that libc does not know of, which has no errno. Results are as the kernel gives them,
// negative errno values included.
#pragma once

#include <cstdint>

namespace fallow::run {

inline long system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) {
  long result = 0;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

template <typename Type>
long word(Type* pointer) {
  return reinterpret_cast<long>(pointer);
}

}  // namespace fallow::run
