/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What may be recorded: what this machine's administrator allows (agent.conf), what the control plane asks
 * for, and the one function that says what comes of the two. Pure code: no file, no clock, no global. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-id128.h>

#include "agent-limits.h"

/* In ascending order of what they allow. */
typedef enum RecordingMode {
        RECORDING_OFF = 0,       /* never */
        RECORDING_MANUAL = 1,    /* when somebody who may starts it on this machine */
        RECORDING_AUTOMATIC = 2, /* whenever the machine runs */
        _RECORDING_MODE_MAX,
} RecordingMode;

#define CAPTURE_SEGMENT_SECONDS_MAX 3600U
#define CAPTURE_SEGMENT_BYTES_MIN   65536U
#define CAPTURE_SEGMENT_BYTES_MAX   (16U * 1024U * 1024U)
#define CAPTURE_NAME_MAX            256U /* bytes of a company's or an employee's name */
#define CAPTURE_HOST_MAX            264U /* bytes of host:port */
#define CAPTURE_POLICY_JSON_MAX     (64U * 1024U)

/* Local limits. */
typedef struct CaptureLimits {
        RecordingMode recording;
        uint32_t frames_per_second;
        uint32_t jpeg_quality;
        uint64_t bytes_per_minute;  /* what recording may cost at most, 0: no ceiling */
        uint32_t cpu_ms_per_second; /* milliseconds of a processor, 0: no ceiling */
        uint32_t pause_seconds;     /* how long a pause may last, 0: there is none */
        bool record_locked;         /* also while the session at the seat is locked */
        char *const *bucket_hosts;  /* pins (web/http-url.h), NULL-terminated, NULL = none */
} CaptureLimits;

/* The control plane's policy for this device, as parsed: each field is within its bounds, each string valid
 * UTF-8 without control characters. */
typedef struct CapturePolicy {
        uint64_t revision;
        sd_id128_t device;
        char company[CAPTURE_NAME_MAX + 1];
        char employee[CAPTURE_NAME_MAX + 1]; /* "" = nobody assigned */
        RecordingMode recording;
        uint32_t frames_per_second;
        uint32_t jpeg_quality;
        uint32_t segment_seconds;
        uint32_t segment_bytes;
        uint64_t bytes_per_minute; /* as CaptureLimits' */
        uint32_t cpu_ms_per_second;
        uint32_t pause_seconds;
        bool record_locked;
        char bucket_host[CAPTURE_HOST_MAX + 1]; /* "host" for port 443, or "host:port"; "" = none */
} CapturePolicy;

typedef struct CaptureDecision {
        RecordingMode recording;
        uint32_t frames_per_second; /* at least 1 unless recording is RECORDING_OFF */
        uint32_t jpeg_quality;      /* likewise */
        uint32_t segment_seconds;
        uint32_t segment_bytes;
        uint64_t bytes_per_minute; /* as CaptureLimits': the lower of both */
        uint32_t cpu_ms_per_second;
        uint32_t pause_seconds; /* the shorter of both */
        bool record_locked;     /* both say so */
        bool bucket_pinned;     /* the policy's bucket is on a host of the limits'; if not, nothing may be
                                   uploaded there */
} CaptureDecision;

/* local ∩ remote. Never more than either allows: the smaller mode, rate, quality, ceilings and pause, a
 * locked session only if both say so, and the bucket only if it is one that the machine's administrator
 * named. remote NULL (no policy known): nothing.
 */
CaptureDecision policy_intersect(const CaptureLimits *local, const CapturePolicy *remote);

/* Parses the body of GET /v1/devices/self/policy. Every member must be there (but for the ceilings, which
 * are none if they are not, and the leave to pause and to record a locked session, which is not given), of
 * its type and within its bounds, and none that is unknown or there twice: an unknown one could be a
 * restriction that this version would not keep. -EBADMSG, and error_text says what is wrong with it; -E2BIG:
 * over CAPTURE_POLICY_JSON_MAX. */
int capture_policy_parse(const char *json, size_t size, CapturePolicy *ret, char *error_text,
                         size_t error_size);

const char *recording_mode_to_string(RecordingMode mode);
/* -EINVAL for any other word. */
int recording_mode_from_string(const char *string, RecordingMode *ret);
