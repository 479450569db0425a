/* SPDX-License-Identifier: Apache-2.0 */
#include "kms.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FLIP_WAIT_MS 5000

static int fail(const char *what) {
        int r = -errno;

        fprintf(stderr, "kmspaint: %s: %m\n", what);
        return r;
}

static int make_buffer(int fd, struct kms_buffer *b, uint32_t width, uint32_t height) {
        uint64_t offset;

        if (drmModeCreateDumbBuffer(fd, width, height, 32, 0, &b->handle, &b->pitch, &b->size) != 0)
                return fail("create dumb buffer");
        if (drmModeAddFB2(fd, width, height, DRM_FORMAT_XRGB8888, (uint32_t[4]){ b->handle },
                          (uint32_t[4]){ b->pitch }, (uint32_t[4]){}, &b->fb, 0) != 0)
                return fail("add framebuffer");
        if (drmModeMapDumbBuffer(fd, b->handle, &offset) != 0)
                return fail("map dumb buffer");
        void *map = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t) offset);
        if (map == MAP_FAILED)
                return fail("mmap");
        b->map = map;
        return 0;
}

static uint32_t choose_crtc(int fd, const drmModeRes *resources, const drmModeConnector *c, uint32_t *used) {
        for (int i = 0; i < c->count_encoders; i++) {
                drmModeEncoder *encoder = drmModeGetEncoder(fd, c->encoders[i]);
                if (!encoder)
                        continue;
                uint32_t possible = encoder->possible_crtcs & ~*used;
                drmModeFreeEncoder(encoder);
                for (int k = 0; k < resources->count_crtcs; k++)
                        if (possible & (1U << k)) {
                                *used |= 1U << k;
                                return resources->crtcs[k];
                        }
        }
        return 0;
}

static drmModeModeInfo choose_mode(const drmModeConnector *c, uint32_t width, uint32_t height) {
        for (int i = 0; i < c->count_modes; i++)
                if (c->modes[i].hdisplay == width && c->modes[i].vdisplay == height)
                        return c->modes[i];
        return c->modes[0];
}

static int make_buffers(struct kms *kms, struct kms_output *o) {
        int r = 0;

        for (unsigned i = 0; i < 2 && r >= 0; i++)
                r = make_buffer(kms->fd, &o->buffer[i], o->mode.hdisplay, o->mode.vdisplay);
        return r;
}

static int add_output(struct kms *kms, const drmModeRes *resources, const drmModeConnector *c,
                      uint32_t width, uint32_t height, uint32_t *used) {
        struct kms_output *o = &kms->output[kms->n_outputs];
        const char *type = drmModeGetConnectorTypeName(c->connector_type);

        *o = (struct kms_output){
                .connector = c->connector_id,
                .crtc = choose_crtc(kms->fd, resources, c, used),
                .mode = choose_mode(c, width, height),
        };
        if (o->crtc == 0)
                return 0;
        snprintf(o->name, sizeof(o->name), "%s-%u", type ? type : "Unknown", c->connector_type_id);
        kms->n_outputs++;
        return make_buffers(kms, o);
}

int kms_open(struct kms *kms, const char *card, uint32_t width, uint32_t height) {
        uint32_t used = 0;
        int r = 0;

        *kms = (struct kms){ .fd = open(card, O_RDWR | O_CLOEXEC) };
        if (kms->fd < 0)
                return fail(card);
        /* Whoever opens a card first is its master already. logind gives up a compositor's that has ended a
         * moment later than the compositor. */
        for (int tries = 0; !drmIsMaster(kms->fd) && drmSetMaster(kms->fd) != 0; tries++) {
                if (errno != EBUSY || tries == 100)
                        return fail("become DRM master (is a compositor running?)");
                usleep(100000);
        }

        drmModeRes *resources = drmModeGetResources(kms->fd);
        if (!resources)
                return fail("get resources");
        for (int i = 0; r >= 0 && i < resources->count_connectors && kms->n_outputs < KMS_OUTPUTS_MAX; i++) {
                drmModeConnector *c = drmModeGetConnector(kms->fd, resources->connectors[i]);
                if (!c)
                        continue;
                if (c->connection == DRM_MODE_CONNECTED && c->count_modes > 0)
                        r = add_output(kms, resources, c, width, height, &used);
                drmModeFreeConnector(c);
        }
        drmModeFreeResources(resources);
        if (r >= 0 && kms->n_outputs == 0) {
                fprintf(stderr, "kmspaint: %s has no connected output\n", card);
                r = -ENODEV;
        }
        return r;
}

static int set_mode(struct kms *kms, struct kms_output *o) {
        if (drmModeSetCrtc(kms->fd, o->crtc, o->buffer[o->front].fb, 0, 0, &o->connector, 1, &o->mode) != 0)
                return fail("set mode");
        return 0;
}

static int turn_off(struct kms *kms, const struct kms_output *o) {
        if (drmModeSetCrtc(kms->fd, o->crtc, 0, 0, 0, NULL, 0, NULL) != 0)
                return fail("turn off");
        return 0;
}

int kms_show(struct kms *kms) {
        int r = 0;

        for (unsigned i = 0; i < kms->n_outputs && r >= 0; i++) {
                struct kms_output *o = &kms->output[i];
                o->front = 0;
                if (!o->off)
                        r = set_mode(kms, o);
        }
        return r;
}

int kms_off(struct kms *kms) {
        int r = 0;

        for (unsigned i = 0; i < kms->n_outputs && r >= 0; i++)
                r = turn_off(kms, &kms->output[i]);
        return r;
}

int kms_switch(struct kms *kms, unsigned output, int on) {
        struct kms_output *o = &kms->output[output];

        o->off = !on;
        return on ? set_mode(kms, o) : turn_off(kms, o);
}

int kms_resize(struct kms *kms, uint32_t width, uint32_t height) {
        int r = 0;

        for (unsigned i = 0; i < kms->n_outputs && r >= 0; i++) {
                struct kms_output *o = &kms->output[i];
                drmModeConnector *c = drmModeGetConnector(kms->fd, o->connector);
                if (!c || c->count_modes == 0) {
                        drmModeFreeConnector(c);
                        fprintf(stderr, "kmspaint: %s has no mode\n", o->name);
                        return -ENODEV;
                }
                o->mode = choose_mode(c, width, height);
                drmModeFreeConnector(c);
                r = make_buffers(kms, o);
        }
        return r;
}

static void flip_done(int fd, unsigned sequence, unsigned sec, unsigned usec, void *output) {
        struct kms_output *o = output;

        (void) fd;
        (void) sequence;
        (void) sec;
        (void) usec;
        o->flip_pending = 0;
}

static int wait_for_flip(struct kms *kms, const struct kms_output *o) {
        drmEventContext events = { .version = 2, .page_flip_handler = flip_done };

        while (o->flip_pending) {
                struct pollfd p = { .fd = kms->fd, .events = POLLIN };
                int n = poll(&p, 1, FLIP_WAIT_MS);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        fprintf(stderr, "kmspaint: %s: no flip event in %d ms\n", o->name, FLIP_WAIT_MS);
                        return -ETIME;
                }
                if (drmHandleEvent(kms->fd, &events) != 0)
                        return fail("read event");
        }
        return 0;
}

int kms_flip(struct kms *kms) {
        for (unsigned i = 0; i < kms->n_outputs; i++) {
                struct kms_output *o = &kms->output[i];
                if (o->off)
                        continue;
                o->front ^= 1;
                o->flip_pending = 1;
                if (drmModePageFlip(kms->fd, o->crtc, o->buffer[o->front].fb, DRM_MODE_PAGE_FLIP_EVENT, o) !=
                    0)
                        return fail("page flip");
        }
        for (unsigned i = 0; i < kms->n_outputs; i++) {
                int r = wait_for_flip(kms, &kms->output[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

int kms_dirty(struct kms *kms) {
        for (unsigned i = 0; i < kms->n_outputs; i++) {
                const struct kms_output *o = &kms->output[i];
                drmModeClip all = { .x2 = o->mode.hdisplay, .y2 = o->mode.vdisplay };
                /* a driver that scans out of plain memory has nothing to be told */
                if (drmModeDirtyFB(kms->fd, o->buffer[o->front].fb, &all, 1) != 0 && errno != ENOSYS)
                        return fail("mark as dirty");
        }
        return 0;
}

int kms_make_cursor(struct kms *kms) {
        struct kms_buffer *b = &kms->cursor;
        uint64_t offset;

        if (drmModeCreateDumbBuffer(kms->fd, KMS_CURSOR_SIZE, KMS_CURSOR_SIZE, 32, 0, &b->handle, &b->pitch,
                                    &b->size) != 0 ||
            drmModeMapDumbBuffer(kms->fd, b->handle, &offset) != 0)
                return fail("make a cursor");
        void *map = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, kms->fd, (off_t) offset);
        if (map == MAP_FAILED)
                return fail("mmap");
        b->map = map;
        return 0;
}

int kms_cursor(struct kms *kms, int32_t x, int32_t y, int on) {
        uint32_t crtc = kms->output[0].crtc, size = on ? KMS_CURSOR_SIZE : 0;

        if (drmModeSetCursor2(kms->fd, crtc, on ? kms->cursor.handle : 0, size, size, 5, 9) != 0)
                return fail("set cursor");
        if (on && drmModeMoveCursor(kms->fd, crtc, x, y) != 0)
                return fail("move cursor");
        return 0;
}
