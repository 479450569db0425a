/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fences of rendering into dma-bufs: poll() waits for them with a bound, DMA_BUF_IOCTL_SYNC does without
 * (Documentation/driver-api/dma-buf.rst). */

#include <stddef.h>

/* Waits until all n are readable, timeout_ms for all of them together. -ETIME: one is not; -EIO: one cannot
 * be waited for. */
int fence_wait(const int *fds, size_t n, unsigned timeout_ms);
