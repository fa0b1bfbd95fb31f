// What is asked of a userfaultfd when it is made. The features are agreed once, by who makes it:
// that may be another process, which runs no more of this tree than a few lines of C.
#pragma once

#include <linux/userfaultfd.h>

namespace fallow::pager {

inline constexpr unsigned long long kOwnMemoryFeatures =
    UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_THREAD_ID;

// A VM's memory, in a file of shared memory: what it gives back is told, too.
inline constexpr unsigned long long kSharedMemoryFeatures =
    kOwnMemoryFeatures | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM |
    UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_EVENT_REMOVE;

}  // namespace fallow::pager
