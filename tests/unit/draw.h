/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "unit.h"

#include <stdlib.h>

#include "picture.h"

/* Makes a picture of what a plane shows, all of it. */
static inline void draw(Picture *picture, const PicturePlane *plane) {
        uint8_t *changed = calloc((size_t) picture->tiles_across * picture->tiles_down, 1);
        uint32_t *staging = calloc(picture->stride * SEGMENT_TILE_HEIGHT, sizeof(uint32_t));

        assert_non_null(changed);
        assert_non_null(staging);
        assert_int_equal(picture_update(picture, picture, plane, NULL, changed, staging),
                         picture->tiles_across * picture->tiles_down);
        free(staging);
        free(changed);
}
