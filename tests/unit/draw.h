/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "unit.h"

#include <stdlib.h>

#include "picture.h"

/* Any will do where both pictures of a comparison have it. */
static const RowHashKey draw_key = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };

/* Makes a picture of what a plane shows, all of it. */
static inline void draw(Picture *picture, const PicturePlane *plane) {
        uint8_t *changed = calloc((size_t) picture->tiles_across * picture->tiles_down, 1);
        uint32_t *staging = calloc(picture->stride * SEGMENT_TILE_HEIGHT, sizeof(uint32_t));

        assert_non_null(changed);
        assert_non_null(staging);
        assert_int_equal(picture_update(picture, picture, &draw_key, plane, NULL, changed, staging),
                         picture->tiles_across * picture->tiles_down);
        free(staging);
        free(changed);
}
