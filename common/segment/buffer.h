/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bytes that grow up to a bound. All zero but max is a valid, empty buffer. */

#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

typedef struct Buffer {
        uint8_t *data; /* owned; NULL while nothing was ever reserved */
        size_t size, capacity;
        size_t max; /* size never exceeds it */
} Buffer;

/* Makes room for more bytes behind size. -EFBIG: that would be over max; -ENOMEM. */
int buffer_reserve(Buffer *buffer, size_t more);

/* Copies to the end; errors as above, with nothing appended. */
int buffer_append(Buffer *buffer, const void *data, size_t size);

void buffer_done(Buffer *buffer);
