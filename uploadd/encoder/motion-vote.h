/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The first step of motion.h: which displacements are worth a comparison. */

#include "cleanup.h"
#include "picture.h"

#define MOTION_SHIFTS_MAX 4U

/* A pixel at x, y now was at x + dx, y + dy before. */
typedef struct MotionShift {
        int32_t dx, dy;
} MotionShift;

typedef struct MotionVote MotionVote;

int motion_vote_new(MotionVote **ret, uint32_t width, uint32_t height);
MotionVote *motion_vote_free(MotionVote *vote);
DEFINE_CLEANUP(MotionVote *, motion_vote_freep, motion_vote_free)

/* The displacements that most of the samples among changed tiles agree on, best first; at most
 * MOTION_SHIFTS_MAX. The first looks up and down, the second sideways, the third everywhere. */
uint32_t motion_vote_vertical(MotionVote *vote, const Picture *before, const Picture *now,
                              const uint8_t *changed, MotionShift *ret);
uint32_t motion_vote_horizontal(MotionVote *vote, const Picture *before, const Picture *now,
                                const uint8_t *changed, MotionShift *ret);
uint32_t motion_vote_anywhere(MotionVote *vote, const Picture *before, const Picture *now,
                              const uint8_t *changed, MotionShift *ret);
