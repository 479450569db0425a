/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include "plane/copy.h"
#include "plane/layout.h"

void frame_close(Frame *frame) {
        frame_memory_close(&frame->memory);
}

/* The output is what it was, and it is switched on. */
static int capture_check(const Output *o, struct drm_mode_crtc *ret_crtc, struct wire_hdr *ret_hdr) {
        bool on;
        int r;

        r = output_check(o, &on, ret_hdr);
        if (r < 0)
                return r;
        r = kms_crtc(o->card->fd, o->crtc, ret_crtc);
        if (r < 0)
                return r;
        if (!ret_crtc->mode_valid || ret_crtc->mode.hdisplay != o->width ||
            ret_crtc->mode.vdisplay != o->height)
                return -ESTALE;
        return on ? WIRE_REASON_NONE : WIRE_REASON_OFF;
}

/* Planes are few, and qsort() may want to read /proc. */
static void frame_insert(Frame *frame, const struct wire_plane *plane, uint32_t fb_id) {
        struct wire_plane *planes = frame->message.planes;
        Shown *shown = &frame->shown;
        uint32_t i = shown->n++;

        for (; i > 0 && planes[i - 1].zpos > plane->zpos; i--) {
                planes[i] = planes[i - 1];
                shown->plane_ids[i] = shown->plane_ids[i - 1];
                shown->fb_ids[i] = shown->fb_ids[i - 1];
        }
        planes[i] = *plane;
        shown->plane_ids[i] = plane->plane_id;
        shown->fb_ids[i] = fb_id;
        frame->message.n_planes = shown->n;
}

/* What is on which plane, and where, but not its memory. */
static int read_planes(const Output *o, const struct drm_mode_crtc *crtc, Frame *frame) {
        const Card *card = o->card;

        for (uint32_t i = 0; i < card->n_planes; i++) {
                struct wire_plane plane = {};
                uint32_t fb_id, crtc_id;
                int r;

                if (!(card->planes[i].possible_crtcs & o->crtc_bit))
                        continue;
                r = plane_read(card->fd, &card->planes[i], crtc, &fb_id, &crtc_id, &plane);
                if (r < 0)
                        return r;
                if (fb_id == 0 || crtc_id != o->crtc)
                        continue;
                if (frame->shown.n == WIRE_PLANES_MAX)
                        return -ENOBUFS;
                frame_insert(frame, &plane, fb_id);
        }
        return 0;
}

/* A flip in between frees the id for another framebuffer, perhaps one that no grant allows. A dma-buf can
 * wait for all of them to be confirmed; a copy is made only of what is on the plane for certain. */
static int plane_memory(const Output *o, struct wire_plane *plane, uint32_t fb_id, Frame *frame) {
        _cleanup_(framebuffer_release) Framebuffer framebuffer = {};
        int r;

        r = framebuffer_get(o->card->fd, fb_id, &framebuffer);
        if (r < 0)
                return r;
        frame->format = framebuffer.fb.pixel_format;
        frame->modifier = framebuffer_modifier(&framebuffer);
        if (frame->message.memory == WIRE_MEMORY_DMABUF)
                r = framebuffer_export(&framebuffer, &frame->memory, plane);
        else {
                r = plane_confirm(o->card->fd, plane->plane_id, fb_id, o->crtc);
                if (r >= 0)
                        r = framebuffer_copy(&framebuffer, &frame->memory, plane);
        }
        plane->modifier = layout_modifier(o->card->driver, plane->type, plane->modifier);
        return r;
}

static int read_memory(const Output *o, Frame *frame) {
        struct wire_frame *message = &frame->message;
        uint32_t n = 0;

        for (uint32_t i = 0; i < frame->shown.n; i++) {
                struct wire_plane plane = message->planes[i];
                int r = plane_memory(o, &plane, frame->shown.fb_ids[i], frame);

                /* Better a picture without a pointer than none. */
                if (r == -EOPNOTSUPP && plane.type == DRM_PLANE_TYPE_CURSOR) {
                        message->pointer_missing = 1;
                        continue;
                }
                if (r < 0)
                        return r;
                message->planes[n++] = plane;
        }
        message->n_planes = n;
        return n == 0 && message->pointer_missing ? -EOPNOTSUPP : 0;
}

/* FNV-1a */
static uint64_t hash(uint64_t before, const void *data, size_t size) {
        const uint8_t *bytes = data;

        for (size_t i = 0; i < size; i++)
                before = (before ^ bytes[i]) * UINT64_C(0x100000001b3);
        return before;
}

/* A page flip changes a framebuffer's id, and moving a plane its place. What is told of memory is not in the
 * planes yet. */
static uint64_t frame_identity(const Frame *frame) {
        uint64_t identity = UINT64_C(0xcbf29ce484222325);

        identity = hash(identity, &frame->message.hdr, sizeof(frame->message.hdr));
        identity = hash(identity, frame->message.planes, frame->shown.n * sizeof(struct wire_plane));
        identity = hash(identity, frame->shown.fb_ids, frame->shown.n * sizeof(uint32_t));
        return identity ?: 1;
}

/* All planes, with their memory to be had in one way. */
static int capture_planes(const Output *o, const struct drm_mode_crtc *crtc, uint64_t last_identity,
                          Frame *frame) {
        int r;

        r = read_planes(o, crtc, frame);
        if (r < 0)
                return r;
        frame->message.identity = frame_identity(frame);
        if (frame->message.identity == last_identity)
                return WIRE_REASON_NO_FLIP;
        r = read_memory(o, frame);
        if (r < 0)
                return r;
        frame->message.n_fds = (uint32_t) frame->memory.n;
        r = capture_confirm(o, &frame->shown);
        /* Copying takes long enough for the next picture to come. */
        frame->torn = r == -EAGAIN && frame->message.memory == WIRE_MEMORY_MEMFD;
        return frame->torn ? 0 : r;
}

int capture_confirm(const Output *o, const Shown *shown) {
        int r = 0;

        for (uint32_t i = 0; i < shown->n && r >= 0; i++)
                r = plane_confirm(o->card->fd, shown->plane_ids[i], shown->fb_ids[i], o->crtc);
        return r;
}

static int capture_as(const Output *o, const struct drm_mode_crtc *crtc, const struct wire_hdr *hdr,
                      enum wire_memory memory, uint64_t last_identity, Frame *ret) {
        _cleanup_(frame_close) Frame frame = { .message = { .type = WIRE_FRAME_FRAME,
                                                            .memory = memory,
                                                            .width = o->width,
                                                            .height = o->height,
                                                            .hdr = *hdr } };
        int r;

        r = capture_planes(o, crtc, last_identity, &frame);
        ret->format = frame.format;
        ret->modifier = frame.modifier;
        if (r != 0)
                return r;
        if (frame.message.n_planes == 0)
                return WIRE_REASON_OFF;
        *ret = frame;
        frame.memory.n = 0; /* the caller's now */
        return WIRE_REASON_NONE;
}

int capture(const Output *o, uint64_t last_identity, Frame *ret) {
        struct drm_mode_crtc crtc;
        struct wire_hdr hdr;
        int r;

        *ret = (Frame){};
        r = capture_check(o, &crtc, &hdr);
        if (r == WIRE_REASON_NONE)
                r = capture_as(o, &crtc, &hdr, WIRE_MEMORY_DMABUF, last_identity, ret);
        if (r == -EOPNOTSUPP)
                r = capture_as(o, &crtc, &hdr, WIRE_MEMORY_MEMFD, last_identity, ret);
        if (r == -EOPNOTSUPP || r == -ENOBUFS)
                return WIRE_REASON_UNDECODABLE;
        return r == -ENOENT || r == -EINVAL ? -ESTALE : r;
}
