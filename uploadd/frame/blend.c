/* SPDX-License-Identifier: Apache-2.0 */
#include "blend.h"

#include "wire.h"

#define INLINE static inline __attribute__((always_inline))

/* The nearest to v / 255, for v up to 255². */
INLINE uint32_t divide_255(uint32_t v) {
        v += 128;
        return (v + (v >> 8)) >> 8;
}

INLINE uint32_t least(uint32_t a, uint32_t b) {
        return a < b ? a : b;
}

/* What a pixel adds (color times share / 255) and what it leaves of the one below (left / 255). */
INLINE void weigh(uint32_t pixel, uint32_t mode, uint32_t alpha, uint32_t *ret_share, uint32_t *ret_left) {
        uint32_t own = pixel >> 24;

        switch (mode) {
        case WIRE_BLEND_PREMULTIPLIED:
                *ret_share = alpha;
                *ret_left = 255 - divide_255(alpha * own);
                break;
        case WIRE_BLEND_COVERAGE:
                *ret_share = divide_255(alpha * own);
                *ret_left = 255 - *ret_share;
                break;
        default:
                *ret_share = alpha;
                *ret_left = 255 - alpha;
        }
}

INLINE uint32_t blend_channel(uint32_t below, uint32_t above, uint32_t share, uint32_t left) {
        /* Not more than white, which a premultiplied colour above its alpha would give. */
        return divide_255(least(above * share + below * left, 255 * 255));
}

INLINE void blend(uint32_t *restrict to, const uint32_t *restrict from, uint32_t n, uint32_t mode,
                  uint32_t alpha) {
        for (uint32_t i = 0; i < n; i++) {
                uint32_t a = from[i], b = to[i], share, left;

                weigh(a, mode, alpha, &share, &left);
                to[i] = blend_channel(b >> 16 & 0xff, a >> 16 & 0xff, share, left) << 16 |
                        blend_channel(b >> 8 & 0xff, a >> 8 & 0xff, share, left) << 8 |
                        blend_channel(b & 0xff, a & 0xff, share, left);
        }
}

/* A loop for each mode, that the compiler can make wide. */
INLINE void blend_by_mode(uint32_t *to, const uint32_t *from, uint32_t n, uint32_t mode, uint32_t alpha) {
        switch (mode) {
        case WIRE_BLEND_PREMULTIPLIED:
                blend(to, from, n, WIRE_BLEND_PREMULTIPLIED, alpha);
                break;
        case WIRE_BLEND_COVERAGE:
                blend(to, from, n, WIRE_BLEND_COVERAGE, alpha);
                break;
        default:
                blend(to, from, n, WIRE_BLEND_NONE, alpha);
        }
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void blend_row_avx2(uint32_t *to, const uint32_t *from, uint32_t n,
                                                           uint32_t mode, uint32_t alpha) {
        blend_by_mode(to, from, n, mode, alpha);
}
#endif

void blend_row(uint32_t *to, const uint32_t *from, uint32_t n, uint32_t mode, uint32_t alpha) {
#ifdef __x86_64__
        if (__builtin_cpu_supports("avx2")) {
                blend_row_avx2(to, from, n, mode, alpha);
                return;
        }
#endif
        blend_by_mode(to, from, n, mode, alpha);
}

INLINE void between(uint32_t *to, const uint32_t *a, const uint32_t *b, uint32_t n, uint32_t part) {
        for (uint32_t i = 0; i < n; i++)
                to[i] = blend_mix(a[i], b[i], part);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void between_avx2(uint32_t *to, const uint32_t *a, const uint32_t *b,
                                                         uint32_t n, uint32_t part) {
        between(to, a, b, n, part);
}
#endif

void blend_between(uint32_t *to, const uint32_t *a, const uint32_t *b, uint32_t n, uint32_t part) {
#ifdef __x86_64__
        if (__builtin_cpu_supports("avx2")) {
                between_avx2(to, a, b, n, part);
                return;
        }
#endif
        between(to, a, b, n, part);
}

void blend_premultiply(uint32_t *to, const uint32_t *from, uint32_t n, uint32_t mode, uint32_t alpha) {
        for (uint32_t i = 0; i < n; i++) {
                uint32_t p = from[i], share, left;

                weigh(p, mode, alpha, &share, &left);
                to[i] = (255 - left) << 24 | divide_255((p >> 16 & 0xff) * share) << 16 |
                        divide_255((p >> 8 & 0xff) * share) << 8 | divide_255((p & 0xff) * share);
        }
}
