/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* CRC-32C (Castagnoli), as of RFC 3720 appendix B.4 and iSCSI: polynomial 0x1edc6f41 reflected, initial
 * value and final XOR of all ones. */

#include <stddef.h>
#include <stdint.h>

/* Continues from crc, the result for the bytes before (0 for none). Uses SSE 4.2 where the processor has it.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The two ways of computing it, for the test that they agree. crc32c_sse42() may only be called where
 * crc32c_has_sse42() is true. */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t size);
uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t size);
_Bool crc32c_has_sse42(void);
