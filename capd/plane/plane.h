/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One KMS plane: which framebuffer it shows now, and where. */

#include <stdint.h>

#include "cleanup.h"
#include "kms.h"
#include "wire.h"

/* In the order of the names in plane.c. */
enum plane_property {
        PLANE_TYPE,
        PLANE_FB_ID,
        PLANE_CRTC_ID,
        PLANE_SRC_X,
        PLANE_SRC_Y,
        PLANE_SRC_W,
        PLANE_SRC_H,
        PLANE_CRTC_X,
        PLANE_CRTC_Y,
        PLANE_CRTC_W,
        PLANE_CRTC_H,
        PLANE_ROTATION,
        PLANE_ZPOS,
        PLANE_ALPHA,
        PLANE_BLEND_MODE,
        PLANE_COLOR_ENCODING,
        PLANE_COLOR_RANGE,
        PLANE_HOTSPOT_X,
        PLANE_HOTSPOT_Y,
        _PLANE_PROPERTY_MAX,
};

typedef struct Plane {
        uint32_t id, type;                        /* type: DRM_PLANE_TYPE_* */
        uint32_t possible_crtcs;                  /* bit n: the card's CRTC of index n can show it */
        uint32_t properties[_PLANE_PROPERTY_MAX]; /* their ids, 0: the plane has none such */
} Plane;

/* Resolves type and property ids, which stay as they are. 0 or a negative errno as of kms.h. */
int plane_open(int card_fd, uint32_t id, Plane *ret) _must_check_;

/* The framebuffer and the CRTC it is on (0: none), and in *plane everything that is not the framebuffer's:
 * id, type, rectangles, rotation, zpos, alpha, blend mode, colours, hotspot. Drivers without atomic
 * modesetting do not tell the rectangles: a primary plane is taken to fill the CRTC then, of other planes
 * nothing can be said, and they count as not shown. */
int plane_read(int card_fd, const Plane *p, const struct drm_mode_crtc *crtc, uint32_t *ret_fb,
               uint32_t *ret_crtc, struct wire_plane *plane) _must_check_;

/* Whether that framebuffer is still the one on the plane: 0, or -EAGAIN if not. */
int plane_confirm(int card_fd, uint32_t plane_id, uint32_t fb, uint32_t crtc) _must_check_;
