/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The other way to a framebuffer's pixels, where a dma-buf is not to be had or cannot be mapped: only who
 * holds the card can map them (DRM_IOCTL_MODE_MAP_DUMB), so capd copies them. */

#include "plane/framebuffer.h"

/* Bytes of one framebuffer: 8192 × 8192 pixels of 4. */
#define COPY_SIZE_MAX (UINT64_C(256) << 20)

/* Copies the framebuffer's memory into a sealed memfd, a new one, which it adds to *memory, and fills *plane
 * as framebuffer_export() does. Memory that goes away in the middle, as that of an unplugged card may, is an
 * error and no SIGBUS: the kernel reads it on behalf of pwrite(). -EOPNOTSUPP: it cannot be mapped or read
 * this way either, or is too large; -ENOBUFS: as framebuffer_export(); others as of memfd_create() and
 * pwrite(). */
int framebuffer_copy(const Framebuffer *framebuffer, FrameMemory *memory,
                     struct wire_plane *plane) _must_check_;
