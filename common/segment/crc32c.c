/* SPDX-License-Identifier: Apache-2.0 */
#include "crc32c.h"

#include <string.h>

/* Remainders of the 16 values of four bits: small enough to be read over. */
static const uint32_t crc32c_nibbles[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_table(uint32_t crc, const void *data, size_t size) {
        const uint8_t *p = data;

        crc = ~crc;
        for (; size > 0; size--) {
                crc ^= *p++;
                crc = crc >> 4 ^ crc32c_nibbles[crc & 15];
                crc = crc >> 4 ^ crc32c_nibbles[crc & 15];
        }
        return ~crc;
}

#ifdef __x86_64__

__attribute__((target("sse4.2"))) uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t size) {
        const uint8_t *p = data;
        uint64_t state = ~crc;

        for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), p += sizeof(uint64_t)) {
                uint64_t word;
                memcpy(&word, p, sizeof(word));
                state = __builtin_ia32_crc32di(state, word);
        }
        for (; size > 0; size--)
                state = __builtin_ia32_crc32qi((uint32_t) state, *p++);
        return ~(uint32_t) state;
}

_Bool crc32c_has_sse42(void) {
        return __builtin_cpu_supports("sse4.2") > 0;
}

#else

uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t size) {
        return crc32c_table(crc, data, size);
}

_Bool crc32c_has_sse42(void) {
        return 0;
}

#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
        return crc32c_has_sse42() ? crc32c_sse42(crc, data, size) : crc32c_table(crc, data, size);
}
