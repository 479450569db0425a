/* SPDX-License-Identifier: Apache-2.0 */
#include "plane/plane.h"

/* "Plane Composition Properties", "Color Management Properties" and "Standard Properties" of the kernel's
 * drm-kms documentation */
static const char *const plane_property_names[_PLANE_PROPERTY_MAX] = {
        [PLANE_TYPE] = "type",
        [PLANE_FB_ID] = "FB_ID",
        [PLANE_CRTC_ID] = "CRTC_ID",
        [PLANE_SRC_X] = "SRC_X",
        [PLANE_SRC_Y] = "SRC_Y",
        [PLANE_SRC_W] = "SRC_W",
        [PLANE_SRC_H] = "SRC_H",
        [PLANE_CRTC_X] = "CRTC_X",
        [PLANE_CRTC_Y] = "CRTC_Y",
        [PLANE_CRTC_W] = "CRTC_W",
        [PLANE_CRTC_H] = "CRTC_H",
        [PLANE_ROTATION] = "rotation",
        [PLANE_ZPOS] = "zpos",
        [PLANE_ALPHA] = "alpha",
        [PLANE_BLEND_MODE] = "pixel blend mode",
        [PLANE_COLOR_ENCODING] = "COLOR_ENCODING",
        [PLANE_COLOR_RANGE] = "COLOR_RANGE",
        [PLANE_HOTSPOT_X] = "HOTSPOT_X",
        [PLANE_HOTSPOT_Y] = "HOTSPOT_Y",
};

int plane_open(int card_fd, uint32_t id, Plane *ret) {
        Plane plane = { .id = id };
        struct drm_mode_get_plane state;
        KmsProperties properties;
        uint64_t type;
        int r;

        r = kms_plane(card_fd, id, &state);
        if (r < 0)
                return r;
        r = kms_properties(card_fd, id, DRM_MODE_OBJECT_PLANE, &properties);
        if (r < 0)
                return r;
        r = kms_resolve(card_fd, &properties, plane_property_names, _PLANE_PROPERTY_MAX, plane.properties);
        if (r < 0)
                return r;
        /* Every plane has one, since there are universal planes. */
        if (!kms_value(&properties, plane.properties[PLANE_TYPE], &type))
                return -ENODATA;
        plane.type = (uint32_t) type;
        plane.possible_crtcs = state.possible_crtcs;
        *ret = plane;
        return 0;
}

/* Values as of include/drm/drm_blend.h, which drivers do not choose for themselves. */
static uint32_t plane_blend(uint64_t mode) {
        switch (mode) {
        case 0:
                return WIRE_BLEND_PREMULTIPLIED;
        case 1:
                return WIRE_BLEND_COVERAGE;
        default:
                return WIRE_BLEND_NONE;
        }
}

/* What drivers without the property draw above what. */
static uint64_t plane_zpos_default(uint32_t type) {
        switch (type) {
        case DRM_PLANE_TYPE_PRIMARY:
                return 0;
        case DRM_PLANE_TYPE_CURSOR:
                return UINT32_MAX;
        default:
                return 1;
        }
}

/* Signed properties travel as unsigned 64-bit numbers. */
static int32_t plane_signed(uint64_t value) {
        return (int32_t) (int64_t) value;
}

int plane_read(int card_fd, const Plane *p, const struct drm_mode_crtc *crtc, uint32_t *ret_fb,
               uint32_t *ret_crtc, struct wire_plane *plane) {
        KmsProperties properties;
        /* Also, where a driver does not tell. Alpha counts as premultiplied then (drm_blend.c, "pixel blend
         * mode"), and YUV is BT.601 with limited range. */
        uint64_t v[_PLANE_PROPERTY_MAX] = {
                [PLANE_ZPOS] = plane_zpos_default(p->type), [PLANE_ALPHA] = UINT16_MAX
        };
        bool has[_PLANE_PROPERTY_MAX], geometry = true;
        int r;

        /* One ioctl for all: read one by one, rectangles and framebuffer could be of two different flips. */
        r = kms_properties(card_fd, p->id, DRM_MODE_OBJECT_PLANE, &properties);
        if (r < 0)
                return r;
        for (size_t i = 0; i < _PLANE_PROPERTY_MAX; i++)
                has[i] = kms_value(&properties, p->properties[i], &v[i]);
        for (size_t i = PLANE_FB_ID; i <= PLANE_CRTC_H; i++)
                geometry = geometry && has[i];

        if (geometry) {
                plane->src_x = (uint32_t) v[PLANE_SRC_X];
                plane->src_y = (uint32_t) v[PLANE_SRC_Y];
                plane->src_w = (uint32_t) v[PLANE_SRC_W];
                plane->src_h = (uint32_t) v[PLANE_SRC_H];
                plane->crtc_x = plane_signed(v[PLANE_CRTC_X]);
                plane->crtc_y = plane_signed(v[PLANE_CRTC_Y]);
                plane->crtc_w = (uint32_t) v[PLANE_CRTC_W];
                plane->crtc_h = (uint32_t) v[PLANE_CRTC_H];
        } else if (p->type != DRM_PLANE_TYPE_PRIMARY) {
                *ret_fb = *ret_crtc = 0;
                return 0;
        } else {
                struct drm_mode_get_plane state;

                r = kms_plane(card_fd, p->id, &state);
                if (r < 0)
                        return r;
                v[PLANE_FB_ID] = state.fb_id;
                v[PLANE_CRTC_ID] = state.crtc_id;
                plane->src_x = crtc->x << 16;
                plane->src_y = crtc->y << 16;
                plane->src_w = (uint32_t) crtc->mode.hdisplay << 16;
                plane->src_h = (uint32_t) crtc->mode.vdisplay << 16;
                plane->crtc_x = plane->crtc_y = 0;
                plane->crtc_w = crtc->mode.hdisplay;
                plane->crtc_h = crtc->mode.vdisplay;
        }

        plane->plane_id = p->id;
        plane->type = p->type;
        plane->rotation = (uint32_t) v[PLANE_ROTATION];
        plane->zpos = (uint32_t) v[PLANE_ZPOS];
        plane->alpha = (uint32_t) v[PLANE_ALPHA];
        plane->blend_mode = plane_blend(v[PLANE_BLEND_MODE]);
        plane->color_encoding = (uint32_t) v[PLANE_COLOR_ENCODING];
        plane->color_range = (uint32_t) v[PLANE_COLOR_RANGE];
        plane->hotspot_x = plane_signed(v[PLANE_HOTSPOT_X]);
        plane->hotspot_y = plane_signed(v[PLANE_HOTSPOT_Y]);
        *ret_fb = (uint32_t) v[PLANE_FB_ID];
        *ret_crtc = (uint32_t) v[PLANE_CRTC_ID];
        return 0;
}

int plane_confirm(int card_fd, uint32_t plane_id, uint32_t fb, uint32_t crtc) {
        struct drm_mode_get_plane state;
        int r = kms_plane(card_fd, plane_id, &state);

        if (r < 0)
                return r;
        return state.fb_id == fb && state.crtc_id == crtc ? 0 : -EAGAIN;
}
