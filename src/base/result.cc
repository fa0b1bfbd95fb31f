#include "base/result.h"

#include <system_error>

namespace fallow {

Error failed_errno(const std::string& what, int errno_value) {
  return failed(what + ": " + std::generic_category().message(errno_value));
}

}  // namespace fallow
