/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"

#define MINUTE UINT64_C(60000000) /* µs */
/* The bytes' bucket holds this part of the ceiling, and fills by the rest of it in a minute: together they
 * are no more than the ceiling. */
#define BUCKET       8U
#define CPU_BUCKET   UINT64_C(2000000) /* µs to fill it */
#define COARSE_GAINS 3U                /* how much smaller coarse frames are at most; so as not to waver */
#define FILL_MAX     MINUTE

static int64_t bytes_capacity(const Rate *rate) {
        return (int64_t) (rate->limits.bytes_per_minute / BUCKET * MINUTE);
}

/* Bytes × MINUTE that come in a microsecond: bytes of a minute. */
static uint64_t bytes_rate(const Rate *rate) {
        return rate->limits.bytes_per_minute - rate->limits.bytes_per_minute / BUCKET;
}

/* Nanoseconds × 1,000 that come in a microsecond: a millisecond of a second is one nanosecond of it. */
static uint64_t cpu_rate(const Rate *rate) {
        return (uint64_t) rate->limits.cpu_ms_per_second * 1000;
}

static int64_t cpu_capacity(const Rate *rate) {
        return (int64_t) (cpu_rate(rate) * CPU_BUCKET);
}

static int64_t smaller(int64_t a, int64_t b) {
        return a < b ? a : b;
}

static void fill(Rate *rate, uint64_t now) {
        uint64_t time = now > rate->filled ? now - rate->filled : 0;

        if (time > FILL_MAX)
                time = FILL_MAX;
        rate->bytes = smaller(rate->bytes + (int64_t) (time * bytes_rate(rate)), bytes_capacity(rate));
        rate->cpu = smaller(rate->cpu + (int64_t) (time * cpu_rate(rate)), cpu_capacity(rate));
        rate->filled = now;
}

void rate_init(Rate *rate, const RateLimits *limits, uint64_t now) {
        *rate = (Rate){ .limits = *limits, .filled = now, .next = now, .interval = limits->interval };
        rate->bytes = bytes_capacity(rate);
        rate->cpu = cpu_capacity(rate);
}

/* Quickly up, as a burst must not empty the bucket unseen, and slowly down. */
static uint64_t average(uint64_t old, uint64_t now) {
        return now > old ? old + (now - old) / 2 : old - (old - now) / 8;
}

/* How far apart frames must be if they cost as on average. */
static uint64_t apart(uint64_t cost, uint64_t per_time) {
        return per_time == 0 ? 0 : cost / per_time;
}

/* How much of it counts: nothing while the bucket is more than half full, all of it below a quarter. */
static uint64_t part(uint64_t time, int64_t left, int64_t capacity) {
        int64_t below = capacity / 2 - left, quarter = capacity / 4;

        return below <= 0 || quarter == 0 ? 0
               : below >= quarter         ? time
                                          : (uint64_t) ((double) time * (double) below / (double) quarter);
}

/* How long it takes until the bucket has so much. */
static uint64_t time_until(int64_t left, int64_t wanted, uint64_t per_time) {
        return per_time == 0 || left >= wanted ? 0 : (uint64_t) (wanted - left) / per_time + 1;
}

static uint64_t larger(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

static void adapt(Rate *rate) {
        uint64_t least = rate->limits.interval, slow = larger(RATE_SLOW, least);
        uint64_t bytes_apart = apart(rate->frame_bytes * MINUTE, bytes_rate(rate));
        uint64_t for_bytes = part(bytes_apart, rate->bytes, bytes_capacity(rate));
        uint64_t for_cpu =
                        part(apart(rate->frame_cpu * 1000, cpu_rate(rate)), rate->cpu, cpu_capacity(rate));
        bool was_slow = rate->interval > slow;

        rate->interval = larger(larger(for_bytes, for_cpu), least);
        rate->why = (for_bytes > least ? RATE_BYTES : 0U) | (for_cpu > least ? RATE_CPU : 0U);
        /* Fewer frames come first: this one has come late already. It is for bytes alone: coarse frames take
         * hardly less time (of a film, 7 %), and are encoded again in full. */
        if (was_slow && for_bytes > slow)
                rate->coarse = true;
        else if (bytes_apart * COARSE_GAINS <= slow)
                rate->coarse = false;
}

void rate_charge(Rate *rate, uint64_t bytes) {
        rate->bytes -= (int64_t) (bytes * MINUTE);
}

bool rate_take(Rate *rate, uint64_t now, uint64_t bytes, uint64_t cpu, bool must) {
        int64_t capacity = bytes_capacity(rate), wanted;

        fill(rate, now);
        if (bytes > UINT32_MAX)
                bytes = UINT32_MAX;
        rate->cpu -= (int64_t) (cpu < MINUTE * 1000 ? cpu * 1000 : MINUTE * 1000000);
        rate->frame_bytes = average(rate->frame_bytes, bytes);
        rate->frame_cpu = average(rate->frame_cpu, cpu);
        adapt(rate);
        rate->next = now + larger(rate->interval, time_until(rate->cpu, 0, cpu_rate(rate)));

        /* What is larger than the bucket goes when that is full. */
        wanted = smaller((int64_t) (bytes * MINUTE), capacity);
        if (rate->limits.bytes_per_minute == 0 || bytes == 0)
                return true;
        if (!must && rate->bytes < wanted) {
                rate->next = larger(rate->next, now + time_until(rate->bytes, wanted, bytes_rate(rate)));
                return false;
        }
        rate->bytes -= (int64_t) (bytes * MINUTE);
        rate->next = larger(rate->next, now + time_until(rate->bytes, 0, bytes_rate(rate)));
        return true;
}

bool rate_news(const Rate *rate, const SegmentRate *last, uint64_t time, SegmentRate *ret) {
        SegmentRate now = {
                .time = time,
                .interval = rate->interval,
                .flags = (rate->coarse ? SEGMENT_RATE_COARSE : 0U) |
                         (rate->why & RATE_BYTES ? SEGMENT_RATE_BYTES : 0U) |
                         (rate->why & RATE_CPU ? SEGMENT_RATE_CPU : 0U),
        };
        bool far = now.interval > last->interval + last->interval / 4 ||
                   now.interval + now.interval / 4 < last->interval;

        *ret = now;
        return (now.flags ^ last->flags) & SEGMENT_RATE_COARSE ||
               (far && time >= last->time + UINT64_C(1000000));
}
