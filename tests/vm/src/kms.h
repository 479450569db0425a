/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

/* One picture per connected output through the legacy KMS calls, which every driver has. */

#define KMS_OUTPUTS_MAX 8

struct kms_buffer {
        uint32_t handle, fb, pitch; /* pitch in bytes */
        uint64_t size;
        uint8_t *map; /* XRGB8888 */
};

struct kms_output {
        char name[32]; /* "Virtual-1" */
        uint32_t connector, crtc;
        drmModeModeInfo mode;
        struct kms_buffer buffer[2];
        unsigned front; /* the buffer that is scanned out */
        int flip_pending, off;
};

struct kms {
        int fd;
        struct kms_output output[KMS_OUTPUTS_MAX];
        unsigned n_outputs;
        struct kms_buffer cursor; /* ARGB8888, once there is one */
};

#define KMS_CURSOR_SIZE 64U

/* Opens the card, insists on being DRM master and makes two buffers for each connected output, in the order
 * of the card's connectors. Each gets the mode of width × height px, or its first one if there is none such.
 * Nothing is shown yet. Negative errno, and the reason on standard error. */
int kms_open(struct kms *kms, const char *card, uint32_t width, uint32_t height);

/* Sets the mode and shows buffer 0, on every output that kms_switch() has not turned off. */
int kms_show(struct kms *kms);

/* Turns the CRTCs off; kms_show() turns them on again. */
int kms_off(struct kms *kms);

/* Turns one output off, or on again with its front buffer. */
int kms_switch(struct kms *kms, unsigned output, int on);

/* Makes buffers of another mode, as kms_open() chooses it, for kms_show(). What is shown until then stays in
 * memory until the program ends. */
int kms_resize(struct kms *kms, uint32_t width, uint32_t height);

/* Flips every output to its back buffer and waits until it has happened. */
int kms_flip(struct kms *kms);

/* Tells the driver that all of the front buffers has changed (DRM_IOCTL_MODE_DIRTYFB). */
int kms_dirty(struct kms *kms);

/* Makes the cursor's buffer, of KMS_CURSOR_SIZE, to be painted before it is shown. */
int kms_make_cursor(struct kms *kms);

/* Shows it on the first output, with its top left corner there and a hotspot of 5, 9, or hides it. */
int kms_cursor(struct kms *kms, int32_t x, int32_t y, int on);
