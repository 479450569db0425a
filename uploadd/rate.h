/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Keeps a recording below what it may cost in bytes and in processor time: with fewer frames first, then,
 * for bytes, with coarser tiles where the picture changes fast. Pure: no clock, no memory of its own; times
 * are µs of any one clock, which never goes back.
 *
 * What is left of each ceiling is a bucket that fills evenly. A short burst is paid out of it, and nothing
 * is slowed down; as it empties, frames come as far apart as they cost on average, and from RATE_SLOW on
 * for bytes they get coarser. In no minute are more bytes written than the ceiling, but for a frame that
 * must be (a segment's first): what that takes over is made up for. */

#include "segment.h"

#define RATE_SLOW UINT64_C(1000000) /* frames that far apart are rather coarser than rarer */

typedef struct RateLimits {
        uint64_t interval;          /* µs between frames at least */
        uint64_t bytes_per_minute;  /* 0: any number */
        uint32_t cpu_ms_per_second; /* milliseconds of one processor, 0: any */
} RateLimits;

enum {
        RATE_BYTES = 1U << 0, /* why it is slower than interval: the ceiling of bytes … */
        RATE_CPU = 1U << 1,   /* … or of processor time */
};

typedef struct Rate {
        RateLimits limits;
        int64_t bytes, cpu;              /* left in the buckets: bytes × 60,000,000; nanoseconds × 1,000 */
        uint64_t filled;                 /* when they were filled last */
        uint64_t frame_bytes, frame_cpu; /* of a frame on average: bytes, nanoseconds */
        uint64_t next;                   /* no frame before it */

        uint64_t interval; /* in force now */
        bool coarse;       /* where it changes fast */
        unsigned why;
} Rate;

/* With full buckets. */
void rate_init(Rate *rate, const RateLimits *limits, uint64_t now);

/* A frame was encoded, in so many bytes and nanoseconds. Returns whether it is to be written; if not, it is
 * as if it had not been taken, and a later one comes in its place. must: it is written in any case. */
bool rate_take(Rate *rate, uint64_t now, uint64_t bytes, uint64_t cpu, bool must);

/* Bytes that are written besides frames, at most UINT32_MAX: before the frame of the same moment is taken.
 */
void rate_charge(Rate *rate, uint64_t bytes);

/* Whether a segment whose last rATE is this one should have another, which is then in *ret: at once when it
 * becomes coarse or no longer is, for the rest at most once a second. time: in the segment. */
bool rate_news(const Rate *rate, const SegmentRate *last, uint64_t time, SegmentRate *ret);
