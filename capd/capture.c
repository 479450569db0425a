/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

void frame_close(Frame *frame) {
        dmabufs_close(&frame->dmabufs);
}

/* The output is what it was, and it is switched on. */
static int capture_check(const Output *o, struct drm_mode_crtc *ret_crtc) {
        bool on;
        int r;

        r = output_check(o, &on);
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
static void frame_insert(struct wire_frame *message, const struct wire_plane *plane) {
        uint32_t i = message->n_planes++;

        for (; i > 0 && message->planes[i - 1].zpos > plane->zpos; i--)
                message->planes[i] = message->planes[i - 1];
        message->planes[i] = *plane;
}

/* Adds one plane to the frame, unless it shows nothing. */
static int capture_plane(const Output *o, const Plane *p, const struct drm_mode_crtc *crtc, Frame *frame) {
        _cleanup_(framebuffer_release) Framebuffer framebuffer = {};
        struct wire_plane plane = {}, after = {};
        uint32_t fb_id, crtc_id, fb_after, crtc_after;
        uint64_t inode;
        int r;

        r = plane_read(o->card->fd, p, crtc, &fb_id, &crtc_id, &plane);
        if (r < 0)
                return r;
        if (crtc_id != 0 && crtc_id != o->crtc)
                return -ESTALE;
        if (fb_id == 0 || crtc_id == 0)
                return WIRE_REASON_NONE;

        r = framebuffer_get(o->card->fd, fb_id, &framebuffer);
        if (r >= 0) {
                frame->format = framebuffer.fb.pixel_format;
                frame->modifier = framebuffer_modifier(&framebuffer);
                r = framebuffer_export(&framebuffer, &frame->dmabufs, &plane);
        }
        if (r == -EOPNOTSUPP || r == -ENOBUFS)
                return WIRE_REASON_UNDECODABLE;
        if (r < 0)
                return r;

        /* A flip in between frees the id for another framebuffer, perhaps one that no grant allows. */
        r = plane_read(o->card->fd, p, crtc, &fb_after, &crtc_after, &after);
        if (r < 0)
                return r;
        if (fb_after != fb_id || crtc_after != crtc_id)
                return -ESTALE;

        /* A page flip changes the framebuffer's id or, where ids are recycled, the memory. */
        inode = frame->dmabufs.inodes[plane.fds[0]];
        frame->message.identity = (frame->message.identity + fb_id) * UINT64_C(0x9e3779b97f4a7c15) ^ inode;
        frame_insert(&frame->message, &plane);
        return WIRE_REASON_NONE;
}

int capture(const Output *output, Frame *ret) {
        _cleanup_(frame_close) Frame frame = { .message = { .type = WIRE_FRAME_FRAME } };
        struct wire_frame *message = &frame.message;
        struct drm_mode_crtc crtc;
        int r;

        r = capture_check(output, &crtc);
        for (uint32_t i = 0; i < output->n_planes && r == WIRE_REASON_NONE; i++)
                r = capture_plane(output, &output->planes[i], &crtc, &frame);
        if (r == -ENOENT || r == -EINVAL)
                r = -ESTALE;
        /* The picture may have moved to a plane that was none of this output's. */
        if (r == WIRE_REASON_NONE && message->n_planes == 0)
                r = -ESTALE;
        if (r < 0)
                return r;

        if (r != WIRE_REASON_NONE) {
                *ret = (Frame){ .format = frame.format, .modifier = frame.modifier };
                return r;
        }
        message->identity |= message->identity == 0;
        message->width = output->width;
        message->height = output->height;
        message->memory = WIRE_MEMORY_DMABUF;
        message->n_fds = (uint32_t) frame.dmabufs.n;
        *ret = frame;
        frame.dmabufs.n = 0; /* the caller's now */
        return WIRE_REASON_NONE;
}
