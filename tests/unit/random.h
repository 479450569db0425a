/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Numbers for property tests. They are the same at each run, so that a test passes always or never;
 * STREAMSIGHT_SEED=N gives others, and "time" ever new ones. The seed is printed. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t random_state;

static inline void random_begin(void) {
        const char *seed = getenv("STREAMSIGHT_SEED");

        random_state = !seed                       ? 1
                       : strcmp(seed, "time") == 0 ? (uint64_t) time(NULL)
                                                   : strtoull(seed, NULL, 10);
        printf("# STREAMSIGHT_SEED=%" PRIu64 "\n", random_state);
}

/* SplitMix64 */
static inline uint64_t random_u64(void) {
        uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

/* 0 to n - 1 */
static inline uint32_t random_below(uint32_t n) {
        return (uint32_t) (random_u64() % n);
}

static inline void random_fill(void *memory, size_t size) {
        uint8_t *bytes = memory;

        for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t) random_u64();
}
