/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Any bytes made into a segment that its readers look into. */

#include <stdbool.h>

#include "crc32c.h"
#include "le.h"
#include "segment.h"

#define PIXELS_MAX (1024U * 1024U) /* larger pictures take time and find nothing more */

/* Makes the checksums right, or nothing would get past them. Returns whether all outputs are of a size that
 * is worth trying. */
static inline bool segment_input_fix(uint8_t *data, size_t size) {
        size_t at = SEGMENT_SIGNATURE_SIZE;
        bool small = true;

        while (size - at >= SEGMENT_CHUNK_HEADER_SIZE && at < size) {
                uint8_t *chunk = data + at;
                uint32_t length = le32_get(chunk + 4);
                if (length > size - at - SEGMENT_CHUNK_HEADER_SIZE)
                        break;
                le32_put(chunk + 8, crc32c(crc32c(0, chunk, 8), chunk + SEGMENT_CHUNK_HEADER_SIZE, length));
                if (le32_get(chunk) == SEGMENT_OUTP && length == SEGMENT_OUTP_SIZE)
                        small &= (uint64_t) le32_get(chunk + 16) * le32_get(chunk + 20) <= PIXELS_MAX;
                at += SEGMENT_CHUNK_HEADER_SIZE + length;
        }
        return small;
}
