// Result<T>: a value, or an Error that says what went wrong and how to mend it. No exception
// crosses a folder; libraries that throw are wrapped where they are called.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace fallow {

// A code exists only if some caller reacts to it differently.
enum class ErrorCode {
  kInvalid,      // wrong use or input: exit code 2
  kFailed,       // anything that could not be carried out: exit code 1
  kUnreachable,  // the daemon is not there: exit code 3
  kNotFound,     // no such thing
  kExists,       // there already is one of that name
};

struct Error {
  ErrorCode code = ErrorCode::kFailed;
  std::string text;  // one line: what is wrong and how to mend it
};

inline Error invalid(std::string text) {
  return {ErrorCode::kInvalid, std::move(text)};
}
inline Error failed(std::string text) {
  return {ErrorCode::kFailed, std::move(text)};
}

// failed() with the text of an errno value behind it.
Error failed_errno(const std::string& what, int errno_value);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace fallow

// Returns the error of a Result from the calling function, which returns some Result itself.
#define FALLOW_TRY(expression)                             \
  do {                                                     \
    if (auto&& fallow_try_ = (expression); !fallow_try_) { \
      return fallow_try_.error();                          \
    }                                                      \
  } while (false)
