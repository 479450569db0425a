/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From a framebuffer's id to file descriptors of its memory, leaving nothing behind in the card's file. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "cleanup.h"
#include "wire.h"

/* A framebuffer's description, and a GEM handle for each of its memory planes: GETFB2 mints them afresh at
 * every call, one per object, so planes that share an object share the handle, and each is to be closed
 * once. */
typedef struct Framebuffer {
        int card_fd; /* borrowed */
        struct drm_mode_fb_cmd2 fb;
} Framebuffer;

/* -ENOENT: the framebuffer is gone (ids are recycled, so it may also be another one by now); -EPERM: the
 * kernel gave no handles, because this process is not privileged in its eyes; -EOPNOTSUPP: its memory has no
 * handles (or the card is gone, as the next ioctl will tell). */
int framebuffer_get(int card_fd, uint32_t fb_id, Framebuffer *ret) _must_check_;

/* Closes the handles. The memory stays, as long as dma-bufs of it are open. */
void framebuffer_release(Framebuffer *framebuffer);

/* DRM_FORMAT_MOD_INVALID where the driver told none. */
uint64_t framebuffer_modifier(const Framebuffer *framebuffer);

/* Fills format, modifier, n_memory, width, height, pitches and offsets. */
void framebuffer_describe(const Framebuffer *framebuffer, struct wire_plane *plane);

/* The distinct memory of one frame, over all its planes: dma-bufs, or copies. An inode is its identity. */
typedef struct FrameMemory {
        size_t n;
        int fds[WIRE_FRAME_FDS_MAX];
        uint64_t inodes[WIRE_FRAME_FDS_MAX];
} FrameMemory;

void frame_memory_close(FrameMemory *memory);

/* Takes fd over in any case. -ENOBUFS: a frame has no room for more. */
int frame_memory_add(FrameMemory *memory, int fd, uint32_t *ret_index) _must_check_;

/* Exports the framebuffer's memory and fills fds and what framebuffer_describe() does. -EOPNOTSUPP: the
 * driver does not export it, or does not let anybody map what it exports; -ENOBUFS: a frame has no room for
 * more descriptors. What was exported before a failure remains in *memory. */
int framebuffer_export(const Framebuffer *framebuffer, FrameMemory *memory,
                       struct wire_plane *plane) _must_check_;
