/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Little-endian integers at any address. */

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define DEFINE_LE(bits)                                                                                     \
        static inline uint##bits##_t le##bits##_get(const void *from) {                                     \
                uint##bits##_t value;                                                                       \
                memcpy(&value, from, sizeof(value));                                                        \
                return le##bits##toh(value);                                                                \
        }                                                                                                   \
        static inline void le##bits##_put(void *to, uint##bits##_t value) {                                 \
                value = htole##bits(value);                                                                 \
                memcpy(to, &value, sizeof(value));                                                          \
        }

DEFINE_LE(16)
DEFINE_LE(32)
DEFINE_LE(64)
