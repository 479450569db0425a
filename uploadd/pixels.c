/* SPDX-License-Identifier: Apache-2.0 */
#include "pixels.h"

#include <string.h>

#include "segment.h"

/* One source for both: the compiler vectorises it for each function's target. */
#define INLINE static inline __attribute__((always_inline))

INLINE void compare(const uint32_t *a, const uint32_t *b, size_t n, uint8_t *changed) {
        for (size_t tile = 0; tile < n; tile++, a += SEGMENT_TILE_WIDTH, b += SEGMENT_TILE_WIDTH) {
                uint32_t differs = 0;
                if (changed[tile])
                        continue;
                for (size_t i = 0; i < SEGMENT_TILE_WIDTH; i++)
                        differs |= a[i] ^ b[i];
                changed[tile] = (differs & PIXEL_MASK) != 0;
        }
}

INLINE void copy(uint32_t *restrict to, const uint32_t *restrict from, size_t n) {
        for (size_t i = 0; i < n; i++)
                to[i] = from[i] & PIXEL_MASK;
}

INLINE void copy_swapped(uint32_t *to, const uint32_t *from, size_t n) {
        for (size_t i = 0; i < n; i++)
                to[i] = __builtin_bswap32(from[i]) >> 8;
}

static void compare_portable(const uint32_t *a, const uint32_t *b, size_t n, uint8_t *changed) {
        compare(a, b, n, changed);
}

static void copy_portable(uint32_t *to, const uint32_t *from, size_t n) {
        copy(to, from, n);
}

static void copy_swapped_portable(uint32_t *to, const uint32_t *from, size_t n) {
        copy_swapped(to, from, n);
}

static void load_portable(void *to, const void *from, size_t size) {
        memcpy(to, from, size);
}

static void update_portable(const uint32_t *from, const uint32_t *before, uint32_t *now, size_t n,
                            uint8_t bit, uint8_t *differs) {
        for (size_t tile = 0; tile < n; tile++) {
                size_t at = tile * SEGMENT_TILE_WIDTH;
                uint8_t other = 0;
                compare(from + at, before + at, 1, &other);
                if (other == 0)
                        continue;
                copy(now + at, from + at, SEGMENT_TILE_WIDTH);
                differs[tile] |= bit;
        }
}

static const PixelLoops portable = { compare_portable, copy_portable, copy_swapped_portable, load_portable,
                                     update_portable };

const PixelLoops *pixel_loops_portable(void) {
        return &portable;
}

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2  __attribute__((target("avx2")))
#define SSE41 __attribute__((target("sse4.1")))

SSE41 static void load_sse41(void *to, const void *from, size_t size) {
        uint8_t *out = to;
        const uint8_t *in = from;
        size_t head = -(uintptr_t) in % sizeof(__m128i);

        head = head < size ? head : size;
        memcpy(out, in, head);
        for (out += head, in += head, size -= head; size >= sizeof(__m128i); size -= sizeof(__m128i)) {
                _mm_storeu_si128((__m128i *) out, _mm_stream_load_si128((__m128i *) in));
                out += sizeof(__m128i);
                in += sizeof(__m128i);
        }
        memcpy(out, in, size);
}

SSE41 static void update_sse41(const uint32_t *from, const uint32_t *before, uint32_t *now, size_t n,
                               uint8_t bit, uint8_t *differs) {
        enum { LANES = SEGMENT_TILE_WIDTH * sizeof(uint32_t) / sizeof(__m128i) };
        const __m128i mask = _mm_set1_epi32(PIXEL_MASK), *in = (const __m128i *) from,
                      *old = (const __m128i *) before;
        __m128i row[LANES];

        for (size_t tile = 0; tile < n; tile++, in += LANES, old += LANES) {
                __m128i other = _mm_setzero_si128();
                for (size_t i = 0; i < LANES; i++) {
                        row[i] = _mm_and_si128(_mm_stream_load_si128((__m128i *) (in + i)), mask);
                        other = _mm_or_si128(other, _mm_xor_si128(row[i], _mm_loadu_si128(old + i)));
                }
                if (_mm_testz_si128(other, other))
                        continue;
                memcpy(now + tile * SEGMENT_TILE_WIDTH, row, sizeof(row));
                differs[tile] |= bit;
        }
}

static const PixelLoops sse41 = { compare_portable, copy_portable, copy_swapped_portable, load_sse41,
                                  update_sse41 };

const PixelLoops *pixel_loops_sse41(void) {
        return __builtin_cpu_supports("sse4.1") ? &sse41 : &portable;
}

AVX2 static void compare_avx2(const uint32_t *a, const uint32_t *b, size_t n, uint8_t *changed) {
        compare(a, b, n, changed);
}

AVX2 static void copy_avx2(uint32_t *to, const uint32_t *from, size_t n) {
        copy(to, from, n);
}

AVX2 static void copy_swapped_avx2(uint32_t *to, const uint32_t *from, size_t n) {
        copy_swapped(to, from, n);
}

AVX2 static void load_avx2(void *to, const void *from, size_t size) {
        uint8_t *out = to;
        const uint8_t *in = from;
        size_t head = -(uintptr_t) in % sizeof(__m256i);

        head = head < size ? head : size;
        memcpy(out, in, head);
        for (out += head, in += head, size -= head; size >= sizeof(__m256i); size -= sizeof(__m256i)) {
                _mm256_storeu_si256((__m256i *) out, _mm256_stream_load_si256((const __m256i *) in));
                out += sizeof(__m256i);
                in += sizeof(__m256i);
        }
        memcpy(out, in, size);
}

AVX2 static void update_avx2(const uint32_t *from, const uint32_t *before, uint32_t *now, size_t n,
                             uint8_t bit, uint8_t *differs) {
        enum { LANES = SEGMENT_TILE_WIDTH * sizeof(uint32_t) / sizeof(__m256i) };
        const __m256i mask = _mm256_set1_epi32(PIXEL_MASK), *in = (const __m256i *) from,
                      *old = (const __m256i *) before;
        __m256i row[LANES];

        for (size_t tile = 0; tile < n; tile++, in += LANES, old += LANES) {
                __m256i other = _mm256_setzero_si256();
                for (size_t i = 0; i < LANES; i++) {
                        row[i] = _mm256_and_si256(_mm256_stream_load_si256(in + i), mask);
                        other = _mm256_or_si256(other,
                                                _mm256_xor_si256(row[i], _mm256_loadu_si256(old + i)));
                }
                if (_mm256_testz_si256(other, other))
                        continue;
                memcpy(now + tile * SEGMENT_TILE_WIDTH, row, sizeof(row));
                differs[tile] |= bit;
        }
}

static const PixelLoops avx2 = { compare_avx2, copy_avx2, copy_swapped_avx2, load_avx2, update_avx2 };

const PixelLoops *pixel_loops(void) {
        return __builtin_cpu_supports("avx2") ? &avx2 : pixel_loops_sse41();
}
#else
const PixelLoops *pixel_loops_sse41(void) {
        return &portable;
}

const PixelLoops *pixel_loops(void) {
        return &portable;
}
#endif
