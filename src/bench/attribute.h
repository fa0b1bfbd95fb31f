// Attributes of the kernel's: one value in a small file of sysfs or of a control group.
#pragma once

#include <string>

#include "base/result.h"

namespace fallow::bench {

Status write_attribute(const std::string& path, const std::string& value);
// Without the line's end.
fallow::Result<std::string> read_attribute(const std::string& path);

}  // namespace fallow::bench
