/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The statements that devices sign, checked before they are kept: a control plane that took anything would
 * only notice at an audit that there is no evidence. Whether the key is the caller's is for the procedure to
 * say, which knows the caller. */

#include "request.h"
#include "statement.h"

/* Of a statement that is right: who signed it, as PostgreSQL takes them; the request's own. */
typedef struct Evidence {
        const char *device; /* uuid */
        const char *key;    /* bytea: the key's point */
} Evidence;

/* Verify text and that it says what the request does. Anything else is answered with a problem. */
int evidence_check_segment(Request *request, const char *text, const SegmentStatement *said,
                           Evidence *ret) _must_check_;
int evidence_check_recording(Request *request, const char *text, const RecordingStatement *said,
                             Evidence *ret) _must_check_;
