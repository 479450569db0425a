/* SPDX-License-Identifier: Apache-2.0 */

#include "evidence.h"

#include <string.h>

#include "value.h"

static int refuse(Request *request, int error) {
        return error == -ENOMEM || error == -EIO ? error
                                                 : request_problem(request, PROBLEM_STATEMENT_INVALID);
}

static int signer(Request *request, const char *device, EVP_PKEY *key, Evidence *ret) {
        uint8_t point[P256_POINT_SIZE];
        char text[2 * P256_POINT_SIZE + 3] = "\\x";
        int r;

        r = p256_to_point(key, point);
        if (r < 0)
                return r;
        value_format_hex(point, sizeof(point), text + 2);
        ret->device = request_keep(request, strdup(device));
        ret->key = request_keep(request, strdup(text));
        return ret->device && ret->key ? 0 : -ENOMEM;
}

int evidence_check_segment(Request *request, const char *text, const SegmentStatement *said, Evidence *ret) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        SegmentStatement signed_one;
        int r;

        r = segment_statement_verify(text, &signed_one, &key);
        if (r < 0)
                return refuse(request, r);
        if (strcmp(signed_one.recording, said->recording) != 0 || signed_one.sequence != said->sequence ||
            strcmp(signed_one.sha256, said->sha256) != 0 ||
            strcmp(signed_one.previous_sha256, said->previous_sha256) != 0 ||
            signed_one.size != said->size || strcmp(signed_one.started_at, said->started_at) != 0 ||
            strcmp(signed_one.ended_at, said->ended_at) != 0)
                return refuse(request, -EBADMSG);
        return signer(request, signed_one.device, key, ret);
}

int evidence_check_recording(Request *request, const char *text, const RecordingStatement *said,
                             Evidence *ret) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        RecordingStatement signed_one;
        int r;

        r = recording_statement_verify(text, &signed_one, &key);
        if (r < 0)
                return refuse(request, r);
        if (strcmp(signed_one.recording, said->recording) != 0 || signed_one.segments != said->segments ||
            strcmp(signed_one.ended_at, said->ended_at) != 0 || strcmp(signed_one.reason, said->reason) != 0)
                return refuse(request, -EBADMSG);
        return signer(request, signed_one.device, key, ret);
}
