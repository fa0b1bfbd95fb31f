/* Fallow's client library: parks pages in the memory that a host's daemon pools.
 *
 * A client connects, opens queues, and puts, gets and flushes pages of 4096 bytes. fallow(3) tells
 * everything at length.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FALLOW_H
#define FALLOW_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FALLOW_PAGE_SIZE 4096

/* Functions that return int give 0 or a positive count, or a negative errno value:
 *   -ENOENT   there is no such page
 *   -EDQUOT   put refused: the client holds its target    } a page that the key had is gone too
 *   -ENOSPC   put refused: no frame is free               }
 *   -EIO      the page was lost: an error until it is put or flushed
 *   -ESTALE   no such pool, or no such disk any more: the daemon has forgotten this client's pages
 *   -ENOTCONN no daemon is there, or it has been away for longer than reconnect_timeout_ms; what
 * was in flight may have happened -EAGAIN   the queue is full, or nothing came in time -EINVAL
 * wrong use -ENOMEM   no memory, or too many pools and what the daemon refuses a connection, a
 * region or a queue with. fallow_error() has the text. */

/* A process that was forked from the one that connected can only close them. */
typedef struct fallow_client fallow_client; /* a connection; any thread */
typedef struct fallow_queue fallow_queue;   /* a queue pair; one thread at a time */
typedef uint32_t fallow_pool;

enum fallow_pool_kind {
  FALLOW_PERSISTENT = 0, /* a page stays until it is flushed */
  FALLOW_EPHEMERAL = 1   /* a page may be dropped at any time */
};

/* Proves that a process which comes back is the one that went. Whoever has it gets the pages. */
struct fallow_secret {
  uint64_t words[2];
};

/* Zero means the default. Fill with zeros first: later versions append fields. */
struct fallow_options {
  size_t size;                   /* sizeof(struct fallow_options) */
  const char* socket;            /* NULL: $FALLOW_RING_SOCKET, else /run/fallow/ring.sock */
  const char* name;              /* of the client, as `fallow` lists it; NULL: program and pid */
  const char* disk;              /* not NULL: attach to the disk of this VM, for fallow_disk_* */
  unsigned reconnect_timeout_ms; /* how long calls wait for a daemon that has gone; 0: 30 s */
  const struct fallow_secret* secret; /* of an earlier connection by this name; NULL: none */
  unsigned keep_seconds; /* how long pages wait for a client that ends without fallow_close(), up to
                          * 600; 0: they do not */
};

const char* fallow_version(void);

/* `options` may be NULL. Fails at once when no daemon is there. */
int fallow_connect(const struct fallow_options* options, fallow_client** client);
/* Closes its queues, frees its memory. The client's pages are dropped. No other thread uses it. */
void fallow_close(fallow_client* client);
/* The same, but the pages wait options.keep_seconds for whoever comes with the name and the secret.
 * Without these seconds -EINVAL, and nothing is closed. */
int fallow_leave(fallow_client* client);
/* What to come back with. A daemon that came back without the pages has given a new one. */
int fallow_secret_of(fallow_client* client, struct fallow_secret* secret);
/* 1 when the pages of the connection that options.secret is of were there, else 0. */
int fallow_resumed(fallow_client* client);
/* Why the last call on this thread failed: one line, valid until the next call. */
const char* fallow_error(void);

/* Registered memory, in whole pages: what is moved between it and the daemon is copied once. Other
 * memory works too, at the price of a second copy. NULL with errno set when there is none. */
void* fallow_alloc(fallow_client* client, size_t bytes);
void fallow_free(fallow_client* client, void* memory);

/* `depth`: operations in flight, 1 to 1024; 0: 32. */
int fallow_queue_open(fallow_client* client, unsigned depth, fallow_queue** queue);
/* What is in flight is carried out or not, and is nobody's any more when this returns. */
void fallow_queue_close(fallow_queue* queue);

/* Pools. `label` is the caller's choice: the same label opens the same pool. */
int fallow_pool_open(fallow_queue* queue, enum fallow_pool_kind kind, uint64_t label,
                     fallow_pool* pool);
int fallow_pool_destroy(fallow_queue* queue, fallow_pool pool);

/* One operation, done when it returns. `page` is FALLOW_PAGE_SIZE bytes. */
int fallow_put(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index,
               const void* page);
int fallow_get(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index, void* page);
/* 1 when there was such a page, else 0. */
int fallow_flush_page(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index);
/* The number of pages freed in *pages, unless NULL. */
int fallow_flush_object(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t* pages);

struct fallow_statistics {
  uint64_t used;   /* frames held */
  uint64_t target; /* frames that may be held */
  uint64_t patterns;
  uint64_t puts_total, puts_succ;
  uint64_t gets_total, gets_succ;
  uint64_t flushes_total, pages_flushed, pages_evicted;
  uint64_t node_frames, node_frames_free;
};
int fallow_get_statistics(fallow_queue* queue, struct fallow_statistics* statistics);

/* What a client that serves somebody's memory says of it: the daemon's operator is shown the last
 * report. Fill with zeros first. Totals count since the client began. */
struct fallow_miss_ratio_point {
  uint64_t pages; /* in a memory of this size */
  uint32_t misses_per_million;
  uint32_t reserved;
};
struct fallow_memory_report {
  uint64_t ram_limit_pages;     /* that it may keep in RAM */
  uint64_t resident_pages;      /* that it does */
  uint64_t faults_total;        /* pages that were not there when they were wanted */
  uint64_t evictions_total;     /* pages that had to go from RAM */
  uint64_t prefetched_total;    /* pages that were brought in unasked */
  uint64_t prefetch_hits_total; /* of these, wanted afterwards */
  uint64_t backing_pages;       /* that are in a store of its own */
  uint64_t working_set_pages;   /* in use of late */
  uint32_t curve_points;        /* up to 16; 0: no curve */
  uint32_t reserved0;
  uint64_t backing_reads_total;   /* pages read from that store */
  uint64_t backing_wait_ns_total; /* how long that took */
  uint64_t reserved[5];
  struct fallow_miss_ratio_point curve[16]; /* pages rise, misses do not */
};
/* -EINVAL: it contradicts itself, or is out of bounds. */
int fallow_report(fallow_queue* queue, const struct fallow_memory_report* report);

/* Many operations in flight. submit_* only fills an entry in (-EAGAIN: `depth` are in flight);
 * fallow_submit() shows all of them to the daemon; fallow_poll() and fallow_wait() do so too.
 * Memory belongs to the operation until its completion has been taken. Operations of one queue on
 * pages are carried out in their order. A daemon that dies meanwhile is waited for, and what was
 * not complete is submitted to the next one. */
struct fallow_completion {
  uint64_t user_data;
  int result; /* as the synchronous function returns */
  uint32_t value;
};
int fallow_submit_put(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index,
                      const void* page, uint64_t user_data);
int fallow_submit_get(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index,
                      void* page, uint64_t user_data);
int fallow_submit_flush_page(fallow_queue* queue, fallow_pool pool, uint64_t object, uint32_t index,
                             uint64_t user_data);
int fallow_submit_flush_object(fallow_queue* queue, fallow_pool pool, uint64_t object,
                               uint64_t user_data);
int fallow_submit(fallow_queue* queue);
/* The number of completions taken, up to `max`; never sleeps, but for the handshake with a daemon
 * that comes back. */
int fallow_poll(fallow_queue* queue, struct fallow_completion* completions, unsigned max);
/* Waits until there is at least one; 0 when nothing is in flight. timeout_ms < 0: for as long as
 * the daemon may be away. */
int fallow_wait(fallow_queue* queue, struct fallow_completion* completions, unsigned max,
                int timeout_ms);

/* The disk of a VM, on a client that was connected with options.disk. Offsets and lengths are
 * bytes, multiples of fallow_disk_block_size(); any length: a failure may leave a part done. Each
 * function may be called on several queues at once. */
/* As of the connection: a disk that grows is seen by those who connect then. */
uint64_t fallow_disk_size(fallow_client* client);
uint32_t fallow_disk_block_size(fallow_client* client);
int fallow_disk_read(fallow_queue* queue, void* data, size_t length, uint64_t offset);
int fallow_disk_write(fallow_queue* queue, const void* data, size_t length, uint64_t offset);
int fallow_disk_sync(fallow_queue* queue);
int fallow_disk_discard(fallow_queue* queue, uint64_t length, uint64_t offset);
int fallow_disk_write_zeroes(fallow_queue* queue, uint64_t length, uint64_t offset);
/* How far from `offset` on the disk has one state, up to `length`: *extent bytes, 1 when they are a
 * hole (and read as zeros), else 0. */
int fallow_disk_extent(fallow_queue* queue, uint64_t length, uint64_t offset, uint64_t* extent);

#ifdef __cplusplus
}
#endif

#endif
