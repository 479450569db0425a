/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One frame: what the planes of one output show at this moment. */

#include "cleanup.h"
#include "outputs.h"
#include "plane/framebuffer.h"
#include "wire.h"

typedef struct Frame {
        struct wire_frame message; /* all but sequence and time; fds index dmabufs */
        DmaBufs dmabufs;
        /* With WIRE_REASON_UNDECODABLE */
        uint32_t format;
        uint64_t modifier;
} Frame;

void frame_close(Frame *frame);

/* WIRE_REASON_NONE: *ret is a frame, to be closed by the caller. Else another enum wire_reason. Negative:
 * -ESTALE the output is no longer what it was when it was enumerated, so enumerate and try again; everything
 * else is of kms.h or framebuffer.h and leaves this process nothing sensible to do. */
int capture(const Output *output, Frame *ret) _must_check_;
