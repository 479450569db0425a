/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is sent for one request of an input (request-input.h). */

#include <stdbool.h>
#include <stddef.h>

typedef struct Question {
        const char *caller; /* "nobody" if there is no token of that name; in the text it was made of */
        char shape[128];    /* method and path, without what is different each time: "PATCH //users/" */
        char *text;         /* for HTTP, framed as it must be; the caller's to free */
        size_t size;
        bool http; /* whether it looks like it, and can be held: else there may be no answer */
} Question;

/* Takes size bytes with a NUL behind them apart, in place. folder: where the keys are. */
void question_make(const char *folder, char *text, size_t size, Question *ret);
