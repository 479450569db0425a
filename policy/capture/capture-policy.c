/* SPDX-License-Identifier: Apache-2.0 */

#include "capture-policy.h"

#include <errno.h>
#include <string.h>

#include "http-url.h"

static const char *const recording_modes[_RECORDING_MODE_MAX] = {
        [RECORDING_OFF] = "off",
        [RECORDING_MANUAL] = "manual",
        [RECORDING_AUTOMATIC] = "automatic",
};

const char *recording_mode_to_string(RecordingMode mode) {
        return mode >= 0 && mode < _RECORDING_MODE_MAX ? recording_modes[mode] : NULL;
}

int recording_mode_from_string(const char *string, RecordingMode *ret) {
        for (int mode = 0; mode < _RECORDING_MODE_MAX; mode++)
                if (strcmp(recording_modes[mode], string) == 0) {
                        *ret = (RecordingMode) mode;
                        return 0;
                }
        return -EINVAL;
}

static uint32_t smaller(uint32_t a, uint32_t b) {
        return a < b ? a : b;
}

/* Of two ceilings, where 0 is none. */
static uint64_t lower(uint64_t a, uint64_t b) {
        return a == 0 || (b > 0 && b < a) ? b : a;
}

static bool bucket_is_pinned(const CaptureLimits *local, const char *bucket_host) {
        const char *colon = strrchr(bucket_host, ':'), *bracket = strrchr(bucket_host, ']');
        char host[CAPTURE_HOST_MAX + 1] = "";
        unsigned port = 443;
        size_t length = strlen(bucket_host);

        if (colon && colon > bracket) {
                length = (size_t) (colon - bucket_host);
                port = 0;
                for (const char *p = colon + 1; *p && port <= UINT16_MAX; p++)
                        port = *p >= '0' && *p <= '9' ? port * 10 + (unsigned) (*p - '0') : UINT16_MAX + 1;
        }
        if (length == 0 || length >= sizeof(host) || port == 0 || port > UINT16_MAX)
                return false;
        memcpy(host, bucket_host, length);
        return http_host_pinned(local->bucket_hosts, host, (uint16_t) port);
}

CaptureDecision policy_intersect(const CaptureLimits *local, const CapturePolicy *remote) {
        CaptureDecision decision = { .recording = RECORDING_OFF };

        if (!remote)
                return decision;
        decision.bucket_pinned = bucket_is_pinned(local, remote->bucket_host);
        decision.frames_per_second = smaller(local->frames_per_second, remote->frames_per_second);
        decision.jpeg_quality = smaller(local->jpeg_quality, remote->jpeg_quality);
        decision.segment_seconds = remote->segment_seconds;
        decision.segment_bytes = remote->segment_bytes;
        decision.bytes_per_minute = lower(local->bytes_per_minute, remote->bytes_per_minute);
        decision.cpu_ms_per_second = (uint32_t) lower(local->cpu_ms_per_second, remote->cpu_ms_per_second);
        decision.pause_seconds = smaller(local->pause_seconds, remote->pause_seconds);
        decision.record_locked = local->record_locked && remote->record_locked;
        if (decision.frames_per_second > 0 && decision.jpeg_quality > 0)
                decision.recording =
                                local->recording < remote->recording ? local->recording : remote->recording;
        return decision;
}
