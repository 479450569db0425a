/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A plane as another process describes it, checked. Nothing of it is believed: each number is held against
 * the real size of the memory behind the descriptor. A pure function of what it is given. */

#include "compose.h"
#include "frame-problem.h"
#include "map-cache.h"

/* memories: what is behind frame->n_fds descriptors, those that the plane names. tones: for an output in an
 * HDR mode, else NULL. The caller has checked the frame's width, height and n_planes, and
 * frame_plane_memories().
 *
 * 1: *ret is what of the plane is to be seen; 0: nothing of it is.
 * -EOPNOTSUPP: cannot be read, though it may be honest: format, modifier; -EBADMSG: impossible. */
int frame_plane_check(const struct wire_frame *frame, const struct wire_plane *plane,
                      const MappedMemory *const memories[], const ToneMap *tones, ComposePlane *ret,
                      FrameProblem *problem);

/* Checks format and modifier, and that the plane's descriptors are there; gives their number. Errors
 * likewise. */
int frame_plane_memories(const struct wire_frame *frame, const struct wire_plane *plane,
                         FrameProblem *problem);
