/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "segment-reader.h"

/* Checks all operations of a frame against its output's size. drawn: room for a bit by tile. *n_new: the
 * number of NEW tiles since the keyframe, before the frame and after it. -EBADMSG or -EPROTONOSUPPORT with a
 * constant in *ret_why. Part of the reader, in a file of its own. */
int segment_frame_check(const SegmentFrame *frame, uint32_t width, uint32_t height, uint8_t *drawn,
                        uint32_t *n_new, const char **ret_why);
