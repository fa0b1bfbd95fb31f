// `fallow pager`: a process that answers the page faults of one VM, so that at most so much of its
// RAM is in RAM. It may be killed at any moment: the VM waits for the next one.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "base/disk_speed.h"
#include "base/result.h"

namespace fallow::vmm_pager {

struct ServiceOptions {
  std::string socket;           // where the VMM connects
  std::string memory;           // the file of shared memory that is the VM's RAM
  std::uint64_t ram_bytes = 0;  // of which so much may be in RAM
  std::string name;             // of the VM; empty: the socket's
  std::string state;            // empty: by the name, in default_folder()
  std::string backing;          // empty: beside the state
  std::string ring;             // the daemon's; empty: the library's default
  DiskSpeed backing_speed{};
  std::uint64_t demotion_pages_per_second = 0;  // 0: off
  bool daemon = true;                           // false: all pages go to the backing file
  bool json = false;
};

// Of what pagers leave behind: /var/lib/fallow/pager for root.
std::string default_folder();

// Fills in what is empty. kInvalid: something cannot be.
Status complete(ServiceOptions& options);

// Until the VM has ended, or SIGTERM or SIGINT comes. What happens is told on `out`, line by line.
Status serve(const ServiceOptions& options, std::ostream& out);

}  // namespace fallow::vmm_pager
