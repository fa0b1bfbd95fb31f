// The kernel's constants of the split virtqueue. Its helpers for legacy layouts are not valid C++.
#pragma once

#define VIRTIO_RING_NO_LEGACY
#include <linux/virtio_ring.h>
