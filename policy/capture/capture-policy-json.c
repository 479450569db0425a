/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "capture-policy.h"
#include "cleanup.h"
#include "text.h"

typedef struct Member {
        const char *name;
        int (*parse)(const json_t *value, const struct Member *member);
        uint64_t minimum, maximum;
        void *target;
        bool optional;
} Member;

static int parse_u32(const json_t *value, const Member *member) {
        json_int_t number = json_integer_value(value);

        if (!json_is_integer(value) || number < 0 || (uint64_t) number < member->minimum ||
            (uint64_t) number > member->maximum)
                return -EBADMSG;
        *(uint32_t *) member->target = (uint32_t) number;
        return 0;
}

static int parse_u64(const json_t *value, const Member *member) {
        json_int_t number = json_integer_value(value);

        if (!json_is_integer(value) || number < 0)
                return -EBADMSG;
        *(uint64_t *) member->target = (uint64_t) number;
        return 0;
}

/* 0 is no ceiling. */
static int parse_bytes_ceiling(const json_t *value, const Member *member) {
        json_int_t number = json_integer_value(value);

        if (!json_is_integer(value) || number < 0 ||
            (number > 0 && ((uint64_t) number < member->minimum || (uint64_t) number > member->maximum)))
                return -EBADMSG;
        *(uint64_t *) member->target = (uint64_t) number;
        return 0;
}

/* Printed on terminals and sent over the bus later: nothing that would have to be sanitized for that. */
static int parse_text(const json_t *value, const Member *member) {
        const char *text = json_string_value(value);
        size_t length = json_string_length(value);

        if (!text || length > member->maximum || strlen(text) != length || !text_is_clean(text))
                return -EBADMSG;
        memcpy(member->target, text, length + 1);
        return 0;
}

static int parse_host(const json_t *value, const Member *member) {
        const char *text = json_string_value(value);

        if (!text ||
            text[strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.:[]_")])
                return -EBADMSG;
        return parse_text(value, member);
}

static int parse_id(const json_t *value, const Member *member) {
        const char *text = json_string_value(value);

        if (!text || strlen(text) != SD_ID128_UUID_STRING_MAX - 1 ||
            sd_id128_from_string(text, member->target) < 0)
                return -EBADMSG;
        return 0;
}

static int parse_mode(const json_t *value, const Member *member) {
        const char *text = json_string_value(value);

        return text && recording_mode_from_string(text, member->target) >= 0 ? 0 : -EBADMSG;
}

static int parse_bool(const json_t *value, const Member *member) {
        if (!json_is_boolean(value))
                return -EBADMSG;
        *(bool *) member->target = json_is_true(value);
        return 0;
}

int capture_policy_parse(const char *json, size_t size, CapturePolicy *ret, char *error_text,
                         size_t error_size) {
        json_auto_t *root = NULL;
        CapturePolicy policy = {};
        json_error_t error;
        const Member members[] = {
                { "revision", parse_u64, 0, 0, &policy.revision },
                { "company", parse_text, 0, CAPTURE_NAME_MAX, policy.company },
                { "device_id", parse_id, 0, 0, &policy.device },
                { "employee", parse_text, 0, CAPTURE_NAME_MAX, policy.employee },
                { "recording", parse_mode, 0, 0, &policy.recording },
                { "frames_per_second", parse_u32, 1, CAPTURE_FRAMES_PER_SECOND_MAX,
                  &policy.frames_per_second },
                { "jpeg_quality", parse_u32, 1, CAPTURE_JPEG_QUALITY_MAX, &policy.jpeg_quality },
                { "segment_seconds", parse_u32, 1, CAPTURE_SEGMENT_SECONDS_MAX, &policy.segment_seconds },
                { "segment_bytes", parse_u32, CAPTURE_SEGMENT_BYTES_MIN, CAPTURE_SEGMENT_BYTES_MAX,
                  &policy.segment_bytes },
                { "bytes_per_minute", parse_bytes_ceiling, CAPTURE_BYTES_PER_MINUTE_MIN,
                  CAPTURE_BYTES_PER_MINUTE_MAX, &policy.bytes_per_minute, true },
                { "cpu_ms_per_second", parse_u32, 0, CAPTURE_CPU_MS_PER_SECOND_MAX,
                  &policy.cpu_ms_per_second, true },
                { "pause_seconds", parse_u32, 0, CAPTURE_PAUSE_SECONDS_MAX, &policy.pause_seconds, true },
                { "record_locked", parse_bool, 0, 0, &policy.record_locked, true },
                { "bucket_host", parse_host, 0, CAPTURE_HOST_MAX, policy.bucket_host },
        };

        if (size > CAPTURE_POLICY_JSON_MAX) {
                snprintf(error_text, error_size, "it is longer than %u bytes", CAPTURE_POLICY_JSON_MAX);
                return -E2BIG;
        }
        root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &error);
        if (!json_is_object(root)) {
                snprintf(error_text, error_size, "it is not a JSON object with each member once");
                return -EBADMSG;
        }
        size_t known = 0;
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                const json_t *value = json_object_get(root, members[i].name);

                known += value != NULL;
                if (!value && members[i].optional)
                        continue;
                if (!value || members[i].parse(value, &members[i]) < 0) {
                        snprintf(error_text, error_size, "\"%s\" is %s", members[i].name,
                                 value ? "not a permitted value" : "missing");
                        return -EBADMSG;
                }
        }
        if (json_object_size(root) != known) {
                snprintf(error_text, error_size,
                         "it has a member that this version (" STREAMSIGHT_VERSION
                         ") does not know: a newer agent is needed");
                return -EBADMSG;
        }
        *ret = policy;
        return 0;
}
