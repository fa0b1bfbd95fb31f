// A client's report on its own memory: checked before anything in it is used. Pure.
#pragma once

#include "base/result.h"
#include "ring/abi.h"

namespace fallow::ring {

// Whether it is a report at all: numbers within their bounds, a curve that is one, zeros where
// nothing is said. Not whether it is true. `report` is a private copy.
Status check_report(const MemoryReport& report);

}  // namespace fallow::ring
