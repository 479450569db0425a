/* SPDX-License-Identifier: Apache-2.0 */
#include "pixels.h"

#include <string.h>

#include "segment.h"

/* One source for both: the compiler vectorises it for each function's target. */
#define INLINE static inline __attribute__((always_inline))

INLINE void hash(const RowHashKey *key, const uint32_t *from, size_t n, RowHash *ret) {
        for (size_t tile = 0; tile < n; tile++, from += SEGMENT_TILE_WIDTH) {
                uint64_t sums[ROW_HASH_PARTS] = {};
                for (size_t i = 0; i < SEGMENT_TILE_WIDTH; i += 2)
                        for (size_t part = 0; part < ROW_HASH_PARTS; part++) {
                                const uint32_t *words = key->words + i + part * ROW_HASH_SHIFT;
                                uint32_t a = (from[i] & PIXEL_MASK) + words[0],
                                         b = (from[i + 1] & PIXEL_MASK) + words[1];
                                sums[part] += (uint64_t) a * b;
                        }
                memcpy(ret[tile].parts, sums, sizeof(sums));
        }
}

INLINE void match(const uint32_t *a, const uint32_t *b, size_t n, uint8_t bit, uint8_t *equal) {
        for (size_t tile = 0; tile < n; tile++, a += SEGMENT_TILE_WIDTH, b += SEGMENT_TILE_WIDTH) {
                uint32_t differs = 0;
                for (size_t i = 0; i < SEGMENT_TILE_WIDTH; i++)
                        differs |= a[i] ^ b[i];
                equal[tile] |= differs == 0 ? bit : 0;
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

static void hash_portable(const RowHashKey *key, const uint32_t *from, size_t n, RowHash *ret) {
        hash(key, from, n, ret);
}

static void copy_hash_portable(const RowHashKey *key, uint32_t *to, const uint32_t *from, size_t n,
                               RowHash *ret) {
        copy(to, from, n * SEGMENT_TILE_WIDTH);
        hash(key, to, n, ret);
}

static void match_portable(const uint32_t *a, const uint32_t *b, size_t n, uint8_t bit, uint8_t *equal) {
        match(a, b, n, bit, equal);
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

static const PixelLoops portable = { hash_portable,  copy_hash_portable, copy_hash_portable,
                                     match_portable, copy_portable,      copy_swapped_portable,
                                     load_portable };

const PixelLoops *pixel_loops_portable(void) {
        return &portable;
}

#ifdef __x86_64__
#include <immintrin.h>

#define AVX2  __attribute__((target("avx2")))
#define SSE41 __attribute__((target("sse4.1")))

#define PIXELS_PER_LINE (64 / sizeof(uint32_t)) /* of the cache */
#define FETCH_AHEAD     2048U                   /* bytes */

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

/* Frames come from memory, not from a cache, and no processor looks past the end of a page by itself. An
 * address that does not exist is no fault. */
INLINE void fetch_ahead(const uint32_t *row) {
        for (size_t i = 0; i < SEGMENT_TILE_WIDTH; i += PIXELS_PER_LINE)
                _mm_prefetch((const void *) ((uintptr_t) (row + i) + FETCH_AHEAD), _MM_HINT_T0);
}

SSE41 INLINE void hash_sse41_to(const RowHashKey *key, uint32_t *to, const uint32_t *from, size_t n,
                                bool stream, RowHash *ret) {
        enum { LANES = SEGMENT_TILE_WIDTH * sizeof(uint32_t) / sizeof(__m128i) };
        const __m128i mask = _mm_set1_epi32(PIXEL_MASK);

        for (size_t tile = 0; tile < n; tile++, from += SEGMENT_TILE_WIDTH) {
                __m128i sums[ROW_HASH_PARTS] = {};
                fetch_ahead(from);
                for (size_t i = 0; i < LANES; i++) {
                        const __m128i *in = (const __m128i *) from + i;
                        __m128i row = stream ? _mm_stream_load_si128((__m128i *) in) : _mm_loadu_si128(in);
                        row = _mm_and_si128(row, mask);
                        if (to && stream)
                                _mm_storeu_si128((__m128i *) (to + tile * SEGMENT_TILE_WIDTH) + i, row);
                        else if (to)
                                _mm_stream_si128((__m128i *) (to + tile * SEGMENT_TILE_WIDTH) + i, row);
                        for (size_t part = 0; part < ROW_HASH_PARTS; part++) {
                                const uint32_t *words = key->words + part * ROW_HASH_SHIFT;
                                __m128i sum = _mm_add_epi32(row,
                                                            _mm_loadu_si128((const __m128i *) words + i));
                                sums[part] = _mm_add_epi64(sums[part],
                                                           _mm_mul_epu32(sum, _mm_srli_epi64(sum, 32)));
                        }
                }
                _mm_storeu_si128((__m128i *) &ret[tile],
                                 _mm_add_epi64(_mm_unpacklo_epi64(sums[0], sums[1]),
                                               _mm_unpackhi_epi64(sums[0], sums[1])));
        }
}

SSE41 static void hash_sse41(const RowHashKey *key, const uint32_t *from, size_t n, RowHash *ret) {
        hash_sse41_to(key, NULL, from, n, false, ret);
}

SSE41 static void copy_hash_sse41(const RowHashKey *key, uint32_t *to, const uint32_t *from, size_t n,
                                  RowHash *ret) {
        hash_sse41_to(key, to, from, n, false, ret);
}

SSE41 static void load_hash_sse41(const RowHashKey *key, uint32_t *to, const uint32_t *from, size_t n,
                                  RowHash *ret) {
        hash_sse41_to(key, to, from, n, true, ret);
}

static const PixelLoops sse41 = { hash_sse41,    copy_hash_sse41,       load_hash_sse41, match_portable,
                                  copy_portable, copy_swapped_portable, load_sse41 };

const PixelLoops *pixel_loops_sse41(void) {
        return __builtin_cpu_supports("sse4.1") ? &sse41 : &portable;
}

AVX2 INLINE void hash_avx2_to(const RowHashKey *key, uint32_t *to, const uint32_t *from, size_t n,
                              bool stream, RowHash *ret) {
        enum { LANES = SEGMENT_TILE_WIDTH * sizeof(uint32_t) / sizeof(__m256i) };
        const __m256i mask = _mm256_set1_epi32(PIXEL_MASK);

        for (size_t tile = 0; tile < n; tile++, from += SEGMENT_TILE_WIDTH) {
                __m256i sums[ROW_HASH_PARTS] = {};
                fetch_ahead(from);
                for (size_t i = 0; i < LANES; i++) {
                        const __m256i *in = (const __m256i *) from + i;
                        __m256i row = stream ? _mm256_stream_load_si256((__m256i *) in)
                                             : _mm256_loadu_si256(in);
                        row = _mm256_and_si256(row, mask);
                        if (to && stream)
                                _mm256_storeu_si256((__m256i *) (to + tile * SEGMENT_TILE_WIDTH) + i, row);
                        else if (to)
                                _mm256_stream_si256((__m256i *) (to + tile * SEGMENT_TILE_WIDTH) + i, row);
                        for (size_t part = 0; part < ROW_HASH_PARTS; part++) {
                                const uint32_t *words = key->words + part * ROW_HASH_SHIFT;
                                __m256i sum = _mm256_add_epi32(
                                                row, _mm256_loadu_si256((const __m256i *) words + i));
                                sums[part] = _mm256_add_epi64(
                                                sums[part],
                                                _mm256_mul_epu32(sum, _mm256_srli_epi64(sum, 32)));
                        }
                }
                __m256i both = _mm256_add_epi64(_mm256_unpacklo_epi64(sums[0], sums[1]),
                                                _mm256_unpackhi_epi64(sums[0], sums[1]));
                _mm_storeu_si128((__m128i *) &ret[tile], _mm_add_epi64(_mm256_castsi256_si128(both),
                                                                       _mm256_extracti128_si256(both, 1)));
        }
}

AVX2 static void hash_avx2(const RowHashKey *key, const uint32_t *from, size_t n, RowHash *ret) {
        hash_avx2_to(key, NULL, from, n, false, ret);
}

AVX2 static void copy_hash_avx2(const RowHashKey *key, uint32_t *to, const uint32_t *from, size_t n,
                                RowHash *ret) {
        hash_avx2_to(key, to, from, n, false, ret);
}

AVX2 static void load_hash_avx2(const RowHashKey *key, uint32_t *to, const uint32_t *from, size_t n,
                                RowHash *ret) {
        hash_avx2_to(key, to, from, n, true, ret);
}

AVX2 static void match_avx2(const uint32_t *a, const uint32_t *b, size_t n, uint8_t bit, uint8_t *equal) {
        match(a, b, n, bit, equal);
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

static const PixelLoops avx2 = { hash_avx2, copy_hash_avx2,    load_hash_avx2, match_avx2,
                                 copy_avx2, copy_swapped_avx2, load_avx2 };

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
