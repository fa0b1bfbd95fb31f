// Looking for files, making folders: errors as values.
#pragma once

#include <string>

#include "base/result.h"

namespace fallow::lab {

// An error where it cannot be told: a folder that may not be searched, a name that is too long.
Result<bool> is_there(const std::string& path);
// With all above it; none when it is there already.
Status make_folder(const std::string& path);
// No error when there is no such file.
Status remove_file(const std::string& path);

}  // namespace fallow::lab
