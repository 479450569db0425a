/* SPDX-License-Identifier: Apache-2.0 */
#include "tone-map.h"

#include <math.h>

#include "cleanup.h"

enum { EOTF_PQ = 2, EOTF_HLG = 3 };                             /* CTA-861-G, table 47 */
enum { COLORSPACE_BT2020_RGB = 9, COLORSPACE_BT2020_YCC = 10 }; /* DRM_MODE_COLORIMETRY_* */

#define PQ_PEAK 10000.0F
#define FACTORS (ELEMENTSOF(((ToneMap *) 0)->factor) - 2)

/* SMPTE ST 2084:2014, 4.1 and 5 */
static const double pq_m1 = 2610.0 / 16384, pq_m2 = 2523.0 / 32, pq_c1 = 3424.0 / 4096, pq_c2 = 2413.0 / 128,
                    pq_c3 = 2392.0 / 128;

static double pq_light(double signal) {
        double root = pow(signal, 1 / pq_m2);
        return (double) PQ_PEAK * pow(fmax(root - pq_c1, 0) / (pq_c2 - pq_c3 * root), 1 / pq_m1);
}

static double pq_signal(double light) {
        double root = pow(light / (double) PQ_PEAK, pq_m1);
        return pow((pq_c1 + pq_c2 * root) / (1 + pq_c3 * root), pq_m2);
}

/* BT.2100-2, table 5: the inverse OETF */
static double hlg_scene(double signal) {
        static const double a = 0.17883277, b = 0.28466892, c = 0.55991073;
        return signal <= 0.5 ? signal * signal / 3 : (exp((signal - c) / a) + b) / 12;
}

/* BT.2390, 5.4.1: the EETF, with black at 0. */
static double compress(double light, double peak) {
        double whole = pq_signal(peak), target = pq_signal((double) TONE_WHITE) / whole;
        double knee = 1.5 * target - 0.5, e = pq_signal(light) / whole;

        if (target >= 1)
                return light;
        if (e > knee) {
                double t = (e - knee) / (1 - knee), t2 = t * t, t3 = t2 * t;
                e = (2 * t3 - 3 * t2 + 1) * knee + (t3 - 2 * t2 + t) * (1 - knee) +
                    (-2 * t3 + 3 * t2) * target;
        }
        return pq_light(e * whole);
}

/* IEC 61966-2-1 */
static double srgb_signal(double light) {
        return light <= 0.0031308 ? 12.92 * light : 1.055 * pow(light, 1 / 2.4) - 0.055;
}

bool tone_map_needed(const struct wire_hdr *hdr) {
        return hdr->eotf == EOTF_PQ || hdr->eotf == EOTF_HLG;
}

void tone_map_init(ToneMap *map, const struct wire_hdr *hdr) {
        uint32_t peak = hdr->eotf == EOTF_HLG || hdr->max_luminance == 0 ? TONE_PEAK_DEFAULT
                                                                         : hdr->max_luminance;

        map->hdr = *hdr;
        map->hlg = hdr->eotf == EOTF_HLG;
        map->wide_gamut =
                        hdr->colorspace == COLORSPACE_BT2020_RGB || hdr->colorspace == COLORSPACE_BT2020_YCC;
        map->peak = fminf(fmaxf((float) peak, TONE_WHITE), PQ_PEAK);
        for (size_t i = 0; i < ELEMENTSOF(map->light); i++) {
                double signal = fmin((double) i * 16 / UINT16_MAX, 1);
                map->light[i] = (float) (map->hlg ? hlg_scene(signal) : pq_light(signal));
        }
        for (size_t i = 0; i < ELEMENTSOF(map->system); i++) {
                double root = (double) i / (ELEMENTSOF(map->system) - 1);
                map->system[i] = (float) (TONE_PEAK_DEFAULT * pow(root * root, 0.2));
        }
        for (size_t i = 0; i < ELEMENTSOF(map->factor); i++) {
                double root = fmin(fmax((double) i, 1) / FACTORS, 1);
                double light = (double) map->peak * root * root;
                map->factor[i] = (float) (compress(light, (double) map->peak) / light) / TONE_WHITE;
        }
        for (size_t i = 0; i < ELEMENTSOF(map->signal); i++)
                map->signal[i] = (uint8_t) lround(255 *
                                                  srgb_signal((double) i / (ELEMENTSOF(map->signal) - 1)));
}

static float unit(float value) {
        /* Each of the two is one instruction, not a branch. */
        value = value > 0 ? value : 0;
        return value < 1 ? value : 1;
}

static float greatest(float a, float b) {
        return a > b ? a : b;
}

static uint32_t signal_of(const ToneMap *map, float light) {
        return map->signal[(int) (unit(light) * (ELEMENTSOF(map->signal) - 1) + 0.5F)];
}

static uint32_t tone_map_pixel(const ToneMap *map, uint32_t red, uint32_t green, uint32_t blue) {
        float r = map->light[(red + 8) / 16], g = map->light[(green + 8) / 16],
              b = map->light[(blue + 8) / 16];

        if (map->hlg) {
                float luminance = 0.2627F * r + 0.6780F * g + 0.0593F * b;
                float gain = map->system[(int) (sqrtf(unit(luminance)) * (ELEMENTSOF(map->system) - 1) +
                                                0.5F)];
                r *= gain, g *= gain, b *= gain;
        }
        float brightest = greatest(greatest(r, g), b), factor;
        if (brightest < map->peak) {
                float place = sqrtf(brightest / map->peak) * FACTORS;
                const float *factors = map->factor + (int) place;
                factor = factors[0] + (factors[1] - factors[0]) * (place - (float) (int) place);
        } else
                factor = 1 / brightest;
        r *= factor, g *= factor, b *= factor;
        if (map->wide_gamut) {
                /* BT.2087-0 and its inverse: linear BT.2020 to linear BT.709 */
                float r2 = r, g2 = g, b2 = b;
                r = 1.660491F * r2 - 0.587641F * g2 - 0.072850F * b2;
                g = -0.124550F * r2 + 1.132900F * g2 - 0.008349F * b2;
                b = -0.018151F * r2 - 0.100579F * g2 + 1.118730F * b2;
        }
        return signal_of(map, r) << 16 | signal_of(map, g) << 8 | signal_of(map, b);
}

/* A premultiplied signal's own colour. */
static uint32_t straight(uint32_t channel, uint32_t alpha) {
        uint32_t value = channel * UINT16_MAX / alpha;
        return value < UINT16_MAX ? value : UINT16_MAX;
}

static uint32_t times(uint32_t channel, uint32_t alpha) {
        return (channel * alpha + UINT16_MAX / 2) / UINT16_MAX;
}

void tone_map_row(const ToneMap *map, const WidePixel *from, uint32_t n, bool premultiplied, uint32_t *to) {
        for (uint32_t i = 0; i < n; i++) {
                /* Most of a desktop is plain. */
                if (i > 0 && from[i] == from[i - 1]) {
                        to[i] = to[i - 1];
                        continue;
                }
                uint32_t a = (uint32_t) (from[i] >> 48), r = (uint16_t) (from[i] >> 32),
                         g = (uint16_t) (from[i] >> 16), b = (uint16_t) from[i];

                if (!premultiplied || a == UINT16_MAX) {
                        to[i] = narrow_channel(a) << 24 | tone_map_pixel(map, r, g, b);
                } else if (a == 0) {
                        to[i] = 0;
                } else {
                        uint32_t pixel = tone_map_pixel(map, straight(r, a), straight(g, a), straight(b, a));
                        to[i] = narrow_channel(a) << 24 | times(pixel >> 16, a) << 16 |
                                times(pixel >> 8 & 0xff, a) << 8 | times(pixel & 0xff, a);
                }
        }
}
