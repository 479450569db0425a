/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "cleanup.h"

/* Why a frame cannot be shown, for a person: written on failure. */
typedef struct FrameProblem {
        uint32_t format; /* of the plane that cannot be shown, 0: it is not about one */
        uint64_t modifier;
        char text[160];
} FrameProblem;

/* Writes the text and returns error. */
int frame_problem(FrameProblem *problem, int error, const char *format, ...) _printf_(3, 4);
