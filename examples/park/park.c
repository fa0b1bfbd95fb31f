/* Parks pages with fallowd and takes them back.
 *
 *     cc park.c -o park $(pkg-config --cflags --libs fallow)
 *     ./park [PAGES]
 *
 * FALLOW_RING_SOCKET names the daemon's socket when it is not /run/fallow/ring.sock. */
#include <errno.h>
#include <fallow/fallow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Says what failed, and ends. */
static void check(int result, const char* what) {
  if (result < 0) {
    fprintf(stderr, "park: %s: %s\n", what, fallow_error());
    exit(1);
  }
}

int main(int argc, char** argv) {
  const unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
  fallow_client* client;
  fallow_queue* queue;
  fallow_pool pool;
  check(fallow_connect(NULL, &client), "connect");
  check(fallow_queue_open(client, 0, &queue), "queue");
  check(fallow_pool_open(queue, FALLOW_PERSISTENT, 1, &pool), "pool");

  /* Memory that the daemon can reach itself: one copy instead of two. */
  char* page = fallow_alloc(client, FALLOW_PAGE_SIZE);
  if (page == NULL) {
    check(-errno, "memory");
  }

  unsigned parked = 0;
  for (unsigned i = 0; i < count; ++i) {
    snprintf(page, FALLOW_PAGE_SIZE, "this is page %u", i);
    const int result = fallow_put(queue, pool, 0, i, page);
    if (result == -EDQUOT || result == -ENOSPC) {
      break; /* The host's memory is wanted elsewhere: keep this page yourself. */
    }
    check(result, "put");
    ++parked;
  }

  for (unsigned i = 0; i < parked; ++i) {
    char expected[64];
    snprintf(expected, sizeof expected, "this is page %u", i);
    check(fallow_get(queue, pool, 0, i, page), "get");
    if (strcmp(page, expected) != 0) {
      fprintf(stderr, "park: page %u came back as '%s'\n", i, page);
      return 1;
    }
    check(fallow_flush_page(queue, pool, 0, i), "flush");
  }
  printf("parked %u of %u pages, and took them back\n", parked, count);
  fallow_close(client);
  return 0;
}
