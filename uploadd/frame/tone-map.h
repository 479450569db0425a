/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an HDR screen shows, for an SDR recording. While an output is in an HDR mode all its planes hold PQ
 * or HLG signals. In this order:
 *
 *   1. light: SMPTE ST 2084's EOTF, or HLG's with BT.2100's system gamma of 1.2 at 1000 cd/m²;
 *   2. the curve of Report ITU-R BT.2390, 5.4.1, from the mastering display's peak down to 203 cd/m², the
 * white of BT.2408: applied to the brightest channel, and the others by the same factor, so that hues stay.
 * What is below about 90 cd/m² keeps its brightness;
 *   3. BT.2020's primaries to BT.709's, where the output's colorspace is BT.2020. What is outside is
 * clipped;
 *   4. sRGB's curve.
 *
 * Compositors paint an SDR desktop's white at about 203 cd/m², which is a light grey then: highlights need
 * the room above it. */

#include <stdbool.h>

#include "color.h"

#define TONE_WHITE        203.0F /* cd/m² */
#define TONE_PEAK_DEFAULT 1000U  /* where the metadata tells none */

typedef struct ToneMap {
        struct wire_hdr hdr; /* it was made for */
        bool hlg, wide_gamut;
        float peak;           /* cd/m² */
        float light[4097];    /* by a sixteenth of the signal: cd/m² (PQ), or the scene's light from 0 to 1
                                 (HLG) */
        float system[1024];   /* HLG: cd/m² by the root of the scene's luminance, divided by that */
        float factor[1026];   /* by the root of the brightest channel's part of the peak: to 0 … 1 */
        uint8_t signal[4097]; /* sRGB, by light from 0 to 1 */
} ToneMap;

/* Whether the output's pictures need it. */
bool tone_map_needed(const struct wire_hdr *hdr);

void tone_map_init(ToneMap *map, const struct wire_hdr *hdr);

/* Makes n opaque or premultiplied pixels 0xAARRGGBB. */
void tone_map_row(const ToneMap *map, const WidePixel *from, uint32_t n, bool premultiplied, uint32_t *to);
