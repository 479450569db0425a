/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One frame: what the planes of one output show at this moment. */

#include <stdbool.h>

#include "cleanup.h"
#include "outputs.h"
#include "plane/framebuffer.h"
#include "wire.h"

/* What the planes showed: by this a page flip is noticed. */
typedef struct Shown {
        uint32_t n;
        uint32_t plane_ids[WIRE_PLANES_MAX], fb_ids[WIRE_PLANES_MAX];
} Shown;

typedef struct Frame {
        struct wire_frame message; /* all but output, sequence and time; fds index memory */
        FrameMemory memory;
        Shown shown;
        bool torn; /* it is a copy, and a plane flipped while it was made */
        /* With WIRE_REASON_UNDECODABLE */
        uint32_t format;
        uint64_t modifier;
} Frame;

void frame_close(Frame *frame);

/* WIRE_REASON_NONE: *ret is a frame of everything the output shows, to be closed by the caller. Else another
 * enum wire_reason; NO_FLIP, before any memory was looked at, if last_identity is not 0 and still that of
 * what is shown. Negative: -ESTALE the output is no longer what it was when it was enumerated, so enumerate
 * and try again; -EAGAIN a plane has flipped meanwhile, so try again; -EPERM and -ENODEV as of kms.h and
 * framebuffer.h; everything else is the driver's or the system's trouble with this output.
 *
 * It costs 3 ioctls for the output, 1 for each plane that could show something on it, 4 more for each that
 * does (5 if its memory is in two pieces), 1 where there is HDR metadata; and allocates nothing. Where the
 * memory must be copied, which is found out anew for each frame, the planes' cost is about twice that. */
int capture(const Output *output, uint64_t last_identity, Frame *ret) _must_check_;

/* Whether that is still on the planes: 0, -EAGAIN if one has flipped, or a negative errno as of kms.h. */
int capture_confirm(const Output *output, const Shown *shown) _must_check_;
