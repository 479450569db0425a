/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the same frame costs otherwise, in nanoseconds of this thread: the units that the encoder's cost is
 * told in. */

#include <stddef.h>
#include <stdint.h>

/* One compression of the whole frame by TurboJPEG, 4:4:4, with a handle and a buffer that are kept. */
uint64_t beside_full_frame(const uint32_t *pixels, uint32_t width, uint32_t height, uint32_t quality);

/* One pass of reading a frame. */
uint64_t beside_read(const uint32_t *pixels, size_t n);

uint64_t beside_thread_time(void);
