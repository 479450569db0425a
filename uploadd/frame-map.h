/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The way into memory that another process describes. Nothing in a wire_frame is believed: each number is
 * checked against the real size of the memory behind the descriptor. The mapping is never writable. */

#include "cursor-layer.h"
#include "picture.h"
#include "wire.h"

typedef struct FrameMap {
        const void *memory; /* NULL: nothing mapped */
        size_t size;
        int fd; /* borrowed */
        bool dmabuf;
        PicturePlane plane;
        Cursor cursor; /* not visible: there is none */
} FrameMap;

/* Why a frame cannot be shown, for a person: written on failure. */
typedef struct FrameProblem {
        uint32_t format;
        uint64_t modifier;
        char text[160];
} FrameProblem;

/* Maps the frame's primary plane and waits up to FRAME_WAIT_MS until rendering into it is done. fds are as
 * many as frame->n_fds says, borrowed until frame_unmap(). The caller has checked width and height of the
 * frame.
 *
 * -EOPNOTSUPP: cannot be read, though it may be honest: format, modifier, rotation, scaling; -ETIME:
 * rendering takes too long; -EBADMSG: numbers that do not fit the memory; others from the kernel. */
int frame_map(FrameMap *ret, const struct wire_frame *frame, const int *fds, FrameProblem *problem);

/* Brackets reading (DMA_BUF_IOCTL_SYNC, Documentation/driver-api/dma-buf.rst). */
int frame_begin(const FrameMap *map);
int frame_end(const FrameMap *map);

void frame_unmap(FrameMap *map);

#define FRAME_WAIT_MS 100
