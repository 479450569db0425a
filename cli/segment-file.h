/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Reads a whole segment: *ret_data is the caller's. -EFBIG: larger than any segment; -EINVAL, -EISDIR: no
 * regular file; others from the system. */
int segment_file_read(const char *path, uint8_t **ret_data, size_t *ret_size);
