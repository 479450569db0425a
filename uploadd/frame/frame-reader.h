/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From the frames of another process to pictures: maps the memory, checks the description against it
 * (frame-plane.h), waits for rendering, and reads. One frame at a time; nothing is allocated for one that is
 * like the one before. */

#include "cursor-layer.h"
#include "frame-plane.h"

typedef struct FrameReader FrameReader;

/* Also catches SIGBUS: memory-guard.h. */
int frame_reader_new(FrameReader **ret);
FrameReader *frame_reader_free(FrameReader *reader);
DEFINE_CLEANUP(FrameReader *, frame_reader_freep, frame_reader_free)

/* Prepares a frame, and waits up to FRAME_WAIT_MS until rendering into it is done. fds are as many as
 * frame->n_fds says, at most WIRE_FRAME_FDS_MAX, borrowed until frame_close(). The caller has checked width
 * and height of the frame.
 *
 * -EOPNOTSUPP: cannot be read, though it may be honest: format, modifier, scaled down too far; -ETIME:
 * rendering takes too long; -EBADMSG: numbers that do not fit the memory; others from the kernel. A cursor
 * that cannot be read is left out, and the problem written all the same. */
int frame_open(FrameReader *reader, const struct wire_frame *frame, const int *fds, FrameProblem *problem);

#define FRAME_WAIT_MS 100

/* Calls read with what the frame shows, but for frame_cursor(), and brackets that (DMA_BUF_IOCTL_SYNC,
 * Documentation/driver-api/dma-buf.rst). -EFAULT: the memory went away meanwhile, and read was left in the
 * middle: what it has written to is undefined, and it must hold nothing that this would leak. */
int frame_read(FrameReader *reader, void (*read)(const PicturePlane *plane, void *userdata), void *userdata,
               FrameProblem *problem);

/* What the frame's cursor plane shows, once frame_read() has succeeded; until frame_close(). Not visible
 * where there is none, or where it is in the picture: below another plane, or larger than
 * SEGMENT_CURSOR_SIDE. */
const Cursor *frame_cursor(const FrameReader *reader);

/* Harmless if none is open. Call it now and then also while no frames come: it unmaps what is not used. */
void frame_close(FrameReader *reader);

/* Also unmaps everything. */
void frame_forget(FrameReader *reader);

/* Times that memory was mapped, for statistics. */
uint64_t frame_reader_mapped(const FrameReader *reader);
