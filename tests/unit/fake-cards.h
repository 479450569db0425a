/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* capd with two cards whose kernel's side is a table of objects and properties here: with what no driver of
 * a virtual machine has or does. */

#include "unit.h"

#include <drm_fourcc.h>

#include "capd.h"

#define CARDS      2
#define PLANES     4
#define PROPERTIES 24
#define WIDTH      64U
#define HEIGHT     48U
#define PITCH      (WIDTH * 4)
#define BT2020_RGB 9U /* DRM_MODE_COLORIMETRY_BT2020_RGB */

/* Ids are the kernel's: of one card, and 0 is none. */
enum { CONNECTOR = 10, ENCODER = 20, CRTC = 30, PLANE = 40, FB = 60, BLOB = 90, PROPERTY = 500 };

typedef struct Object {
        uint32_t n;
        uint32_t ids[PROPERTIES];
        uint64_t values[PROPERTIES];
} Object;

typedef struct Fake {
        int fd; /* its memory, for MAP_DUMB: from the second page on */
        Object connector, crtc, planes[PLANES];
        uint32_t n_planes, encoder_crtc;
        bool unplugged;
        uint32_t fb[PLANES], plane_crtc[PLANES]; /* as GETPLANE tells */
        struct hdr_output_metadata hdr;
        uint32_t blob_size;
        uint32_t hostile; /* is added to every count */
        uint32_t fb_flags;
        uint64_t fb_modifier;
        unsigned long fails, fails_too; /* requests, with: */
        int error;
        uint32_t fails_for;     /* only for this framebuffer, 0: for all */
        unsigned long flips_at; /* after this request the first plane has flipped */
        unsigned n_flips;       /* so often, at most */
        unsigned n_copies, n_handles;
} Fake;

extern Capd capd;
extern Fake fakes[CARDS];
extern unsigned n_ioctls; /* to all cards, since a test made it 0 */

/* A cmocka setup and teardown: each card has one connector, which shows one primary plane. */
int fake_setup(void **state);
int fake_teardown(void **state);

/* Another plane of the card, which shows a framebuffer of its own. */
Object *fake_add_plane(Fake *fake, uint32_t type);

/* As capd does at its start: what has been set of the planes counts from then on. */
void fake_open_card(size_t i);

void object_set(Object *object, const char *name, uint64_t value);
void object_unset(Object *object, const char *name);
