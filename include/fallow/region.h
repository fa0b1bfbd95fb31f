/* Paged memory: a region of which at most so much is in RAM. The rest is with the daemon, or in a
 * backing file where the daemon refuses a page. docs/pager.md tells everything at length.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FALLOW_REGION_H
#define FALLOW_REGION_H

#include <fallow/fallow.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fallow_region fallow_region; /* any thread */

/* Zero means the default. Fill with zeros first: later versions append fields. */
struct fallow_region_options {
  size_t size;               /* sizeof(struct fallow_region_options) */
  const char* socket;        /* as in struct fallow_options */
  const char* name;          /* of the client, as `fallow` lists it; NULL: program and pid */
  const char* backing;       /* file for refused pages, emptied first; NULL: one without a name in
                                $TMPDIR or /var/tmp */
  uint64_t backing_max;      /* bytes that the backing file may have; 0: no bound but the disk's */
  unsigned handlers;         /* threads that answer faults, 1 to 16; 0: 2 */
  int no_daemon;             /* 1: everything goes to the backing file */
  const char* backing_speed; /* emulated: "hdd", "ssd" or "latency=2ms,bandwidth=200M"; NULL: the
                                disk's own */
};

/* `bytes` of zeros, of which at most `ram_limit` bytes (at least 1 MiB) are in RAM. They behave
 * like memory: any thread and the kernel read and write them; a page whose content cannot be had,
 * or for which there is no room anywhere, gives SIGBUS. Not inherited by a forked process, which
 * gets SIGSEGV there. Returns 0 or, as functions of fallow.h: -EINVAL for sizes that cannot be,
 * -EPERM where the kernel does not let this user have a userfaultfd, -ENOTCONN without a daemon,
 * -ENOMEM. `options` may be NULL. */
int fallow_region_create(size_t bytes, size_t ram_limit,
                         const struct fallow_region_options* options, fallow_region** region);
void* fallow_region_memory(fallow_region* region);
/* More takes effect at once; what is too much leaves RAM as fast as it can. */
int fallow_region_set_ram_limit(fallow_region* region, size_t ram_limit);
/* Nobody uses the memory any more. */
void fallow_region_destroy(fallow_region* region);

struct fallow_region_statistics {
  uint64_t ram_limit; /* bytes */
  uint64_t resident;  /* bytes in RAM */
  uint64_t in_fallow; /* bytes with the daemon; pages that were only read may be in RAM too */
  uint64_t in_backing;
  uint64_t faults;          /* on pages that were not in RAM */
  uint64_t faults_zero;     /* of these, the first ones on a page */
  uint64_t faults_write;    /* first writes to pages that were brought in to be read */
  uint64_t evictions;       /* pages */
  uint64_t evictions_clean; /* of these, without copying */
  uint64_t evictions_probe; /* also of these: gone for a moment, to see whether the page is used */
  uint64_t prefetched;
  uint64_t prefetch_hits;
  uint64_t failures; /* SIGBUS given */
  /* How long faults took, from when they were heard of: nanoseconds. */
  uint64_t latency_p50, latency_p99, latency_max;
};
int fallow_region_get_statistics(fallow_region* region,
                                 struct fallow_region_statistics* statistics);

#ifdef __cplusplus
}
#endif

#endif
