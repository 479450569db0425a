/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One try to put one segment into the bucket. */

#include "uploadd.h"
#include "wire.h"

/* What came of it: error 0 and the object is in the bucket, or what the FAILED message says. */
typedef struct UploadResult {
        int error;
        unsigned http_status;
        char text[256]; /* for a person; holds no part of the URL but the host */
} UploadResult;

typedef void (*UploadDone)(Segment *segment, const UploadResult *result, void *userdata);

/* Starts a try; segment->upload is set while it runs, and done is called once from the event loop. On
 * failure the result is in *ret at once and done is not called: -EACCES the URL leads elsewhere than the
 * administrator's pinned hosts, -EINVAL something in the message cannot be sent. */
int upload_start(Uploadd *uploadd, Segment *segment, const struct wire_broker_upload *message,
                 UploadDone done, void *userdata, UploadResult *ret);

/* Cancels the try, if there is one. */
void upload_cancel(Segment *segment);
