/* SPDX-License-Identifier: Apache-2.0 */

#include "statement.h"

#include <string.h>

#include "value.h"

#define SEGMENT_TYPE   "streamsight-segment+jwt"
#define RECORDING_TYPE "streamsight-recording+jwt"
#define SIZE_MOST      INT64_C(16777216) /* of a segment, as the control plane has it */

static bool is_reason(const char *text) {
        for (const char *p = text; *p; p++)
                if (*p < ' ' || *p > '~')
                        return false;
        return text[0] != '\0';
}

static bool segment_ok(const SegmentStatement *s) {
        return value_is_uuid(s->device) && value_is_uuid(s->recording) &&
               s->sequence <= STATEMENT_SEQUENCE_MAX && value_is_sha256(s->sha256) &&
               (s->sequence == 0 ? !s->previous_sha256[0] : value_is_sha256(s->previous_sha256)) &&
               s->size >= 1 && s->size <= SIZE_MOST && value_is_time(s->started_at) &&
               value_is_time(s->ended_at);
}

static bool recording_ok(const RecordingStatement *s) {
        return value_is_uuid(s->device) && value_is_uuid(s->recording) &&
               s->segments <= STATEMENT_SEQUENCE_MAX + 1 && value_is_time(s->ended_at) &&
               is_reason(s->reason);
}

static int sign(EVP_PKEY *key, const char *type, const json_t *claims, char **ret) {
        _cleanup_free_ char *token = NULL;
        json_t *jwk;
        int r;

        if (!claims)
                return -ENOMEM;
        r = jwk_from_key(key, &jwk);
        if (r < 0)
                return r;
        _cleanup_(json_decrefp) json_t *header = json_pack("{s:o, s:s}", "jwk", jwk, "typ", type);
        if (!header)
                return -ENOMEM;
        r = jws_sign(key, header, claims, &token);
        if (r < 0)
                return r;
        if (strlen(token) > STATEMENT_MAX)
                return -E2BIG;
        *ret = TAKE_PTR(token);
        return 0;
}

int segment_statement_sign(EVP_PKEY *key, const SegmentStatement *s, char **ret) {
        if (!segment_ok(s))
                return -EINVAL;
        _cleanup_(json_decrefp) json_t *claims =
                        json_pack("{s:s, s:s, s:b, s:s?, s:s, s:I, s:s, s:I, s:s}", "device", s->device,
                                  "ended_at", s->ended_at, "final", s->final, "previous_sha256",
                                  s->sequence > 0 ? s->previous_sha256 : NULL, "recording", s->recording,
                                  "sequence", (json_int_t) s->sequence, "sha256", s->sha256, "size",
                                  (json_int_t) s->size, "started_at", s->started_at);
        return sign(key, SEGMENT_TYPE, claims, ret);
}

int recording_statement_sign(EVP_PKEY *key, const RecordingStatement *s, char **ret) {
        if (!recording_ok(s))
                return -EINVAL;
        _cleanup_(json_decrefp) json_t *claims = json_pack(
                        "{s:s, s:s, s:s, s:s, s:I}", "device", s->device, "ended_at", s->ended_at, "reason",
                        s->reason, "recording", s->recording, "segments", (json_int_t) s->segments);
        return sign(key, RECORDING_TYPE, claims, ret);
}

static int verify(const char *text, const char *type, size_t n_members, json_t **ret_claims,
                  EVP_PKEY **ret_key) {
        _cleanup_(json_decrefp) json_t *header = NULL, *claims = NULL;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        int r;

        if (strnlen(text, STATEMENT_MAX + 1) > STATEMENT_MAX)
                return -E2BIG;
        r = jws_verify_own(text, &header, &claims, &key);
        if (r < 0)
                return r;
        const char *said = json_string_value(json_object_get(header, "typ"));
        if (json_object_size(header) != 3 || !said || strcmp(said, type) != 0)
                return -EBADMSG;
        if (json_object_size(claims) != n_members)
                return -EBADMSG;
        *ret_claims = TAKE_PTR(claims);
        *ret_key = TAKE_PTR(key);
        return 0;
}

static bool read_text(const json_t *claims, const char *name, char *ret, size_t size) {
        const json_t *member = json_object_get(claims, name);
        const char *text = json_string_value(member);

        if (!text || json_string_length(member) >= size || strlen(text) != json_string_length(member))
                return false;
        strcpy(ret, text);
        return true;
}

static bool read_number(const json_t *claims, const char *name, json_int_t most, uint64_t *ret) {
        const json_t *member = json_object_get(claims, name);

        if (!json_is_integer(member) || json_integer_value(member) < 0 || json_integer_value(member) > most)
                return false;
        *ret = (uint64_t) json_integer_value(member);
        return true;
}

int segment_statement_verify(const char *text, SegmentStatement *ret, EVP_PKEY **ret_key) {
        _cleanup_(json_decrefp) json_t *claims = NULL;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        SegmentStatement s = {};
        uint64_t sequence;
        int r;

        r = verify(text, SEGMENT_TYPE, 9, &claims, &key);
        if (r < 0)
                return r;
        const json_t *previous = json_object_get(claims, "previous_sha256");
        const json_t *final = json_object_get(claims, "final");
        if (!read_text(claims, "device", s.device, sizeof(s.device)) ||
            !read_text(claims, "recording", s.recording, sizeof(s.recording)) ||
            !read_number(claims, "sequence", STATEMENT_SEQUENCE_MAX, &sequence) || !json_is_boolean(final) ||
            !read_text(claims, "sha256", s.sha256, sizeof(s.sha256)) ||
            !(json_is_null(previous) ||
              (read_text(claims, "previous_sha256", s.previous_sha256, sizeof(s.previous_sha256)) &&
               s.previous_sha256[0])) ||
            !read_number(claims, "size", SIZE_MOST, &s.size) ||
            !read_text(claims, "started_at", s.started_at, sizeof(s.started_at)) ||
            !read_text(claims, "ended_at", s.ended_at, sizeof(s.ended_at)))
                return -EBADMSG;
        s.sequence = (uint32_t) sequence;
        s.final = json_is_true(final);
        if (!segment_ok(&s))
                return -EBADMSG;
        *ret = s;
        *ret_key = TAKE_PTR(key);
        return 0;
}

int recording_statement_verify(const char *text, RecordingStatement *ret, EVP_PKEY **ret_key) {
        _cleanup_(json_decrefp) json_t *claims = NULL;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        RecordingStatement s = {};
        uint64_t segments;
        int r;

        r = verify(text, RECORDING_TYPE, 5, &claims, &key);
        if (r < 0)
                return r;
        if (!read_text(claims, "device", s.device, sizeof(s.device)) ||
            !read_text(claims, "recording", s.recording, sizeof(s.recording)) ||
            !read_number(claims, "segments", STATEMENT_SEQUENCE_MAX + 1, &segments) ||
            !read_text(claims, "ended_at", s.ended_at, sizeof(s.ended_at)) ||
            !read_text(claims, "reason", s.reason, sizeof(s.reason)))
                return -EBADMSG;
        s.segments = (uint32_t) segments;
        if (!recording_ok(&s))
                return -EBADMSG;
        *ret = s;
        *ret_key = TAKE_PTR(key);
        return 0;
}
