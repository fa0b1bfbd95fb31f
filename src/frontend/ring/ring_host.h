// What the ring server asks of the node that it serves.
#pragma once

#include <sys/types.h>

#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "frontend/ring/connection.h"
#include "ring/abi.h"

namespace fallow {

// All but keep_report() on the server's own thread, one call at a time. While a call takes long, no
// client is welcomed; those that are connected do not notice.
class RingHost {
 public:
  struct Admission {
    ClientId client;
    ring::Secret secret;   // for the client to come back with
    bool resumed = false;  // it came back, and its pages are there
  };
  enum class Leaving {
    kLost,     // its connection ended, who knows why: it may have asked for its pages to wait
    kForGood,  // it said so, or broke the rules
  };

  virtual ~RingHost() = default;

  // A client that wants pages of its own: makes it, or finds the one whose pages wait for it when
  // `secret` is that one's. `uid` is what the kernel says of the peer.
  // Errors are told to the client: kExists when the name is taken, kInvalid, kFailed.
  virtual Result<Admission> admit_pages(std::string_view name, const ring::Secret& secret,
                                        uid_t uid) = 0;
  // The client has left, and nothing of it is in flight: its pages go, unless they shall wait. Not
  // called for those whose connection ends because the server does.
  virtual void release_pages(ClientId client, Leaving how) = 0;
  // What a client says of its own memory; check_report() has passed. Any thread, in the middle of
  // serving: takes no time.
  virtual void keep_report(ClientId client, const ring::MemoryReport& report) = 0;

  // A client that wants a VM's disk, by the VM's name: hands the connection to the RingDisk of that
  // VM, on the loop that owns its BlockDevice. Takes the connection only when it succeeds.
  virtual Status attach_disk(std::string_view vm, ring::Connection& connection) = 0;
};

}  // namespace fallow
