/* SPDX-License-Identifier: Apache-2.0 */
#include "fake-cards.h"

#include <string.h>
#include <sys/mman.h>

static const char *const property_names[] = {
        "type",
        "FB_ID",
        "CRTC_ID",
        "SRC_X",
        "SRC_Y",
        "SRC_W",
        "SRC_H",
        "CRTC_X",
        "CRTC_Y",
        "CRTC_W",
        "CRTC_H",
        "rotation",
        "zpos",
        "alpha",
        "pixel blend mode",
        "COLOR_ENCODING",
        "COLOR_RANGE",
        "HOTSPOT_X",
        "HOTSPOT_Y",
        "DPMS",
        "ACTIVE",
        "Colorspace",
        "HDR_OUTPUT_METADATA",
};

Capd capd;
Fake fakes[CARDS];
unsigned n_ioctls;
static uint32_t last_fb; /* whose handle was minted last */

static uint32_t property_id(const char *name) {
        for (uint32_t i = 0; i < ELEMENTSOF(property_names); i++)
                if (strcmp(property_names[i], name) == 0)
                        return PROPERTY + i;
        fail_msg("property %s", name);
        return 0;
}

void object_set(Object *object, const char *name, uint64_t value) {
        uint32_t id = property_id(name), i = 0;

        while (i < object->n && object->ids[i] != id)
                i++;
        object->ids[i] = id;
        object->values[i] = value;
        object->n = i == object->n ? i + 1 : object->n;
}

void object_unset(Object *object, const char *name) {
        uint32_t id = property_id(name);

        for (uint32_t i = 0; i < object->n; i++)
                if (object->ids[i] == id) {
                        object->n--;
                        object->ids[i] = object->ids[object->n];
                        object->values[i] = object->values[object->n];
                }
}

/* As the kernel does it: what fits is copied, the count is of all. */
static void give(uint64_t pointer, const void *from, size_t size, uint32_t *count, uint32_t n) {
        if (*count > 0 && n > 0)
                memcpy((void *) (uintptr_t) pointer, from, size * (*count < n ? *count : n));
        *count = n;
}

static int give_properties(const Fake *fake, struct drm_mode_obj_get_properties *p) {
        const Object *object = p->obj_id == CONNECTOR ? &fake->connector
                               : p->obj_id == CRTC    ? &fake->crtc
                                                      : NULL;
        uint32_t count = p->count_props;

        if (p->obj_id >= PLANE && p->obj_id < PLANE + fake->n_planes)
                object = &fake->planes[p->obj_id - PLANE];
        if (!object)
                return ENOENT;
        give(p->props_ptr, object->ids, sizeof(*object->ids), &count, object->n);
        give(p->prop_values_ptr, object->values, sizeof(*object->values), &p->count_props, object->n);
        p->count_props += fake->hostile;
        return 0;
}

static int give_plane(const Fake *fake, struct drm_mode_get_plane *plane) {
        if (plane->plane_id < PLANE || plane->plane_id >= PLANE + fake->n_planes)
                return ENOENT;
        plane->fb_id = fake->fb[plane->plane_id - PLANE];
        plane->crtc_id = fake->plane_crtc[plane->plane_id - PLANE];
        plane->possible_crtcs = 1;
        return 0;
}

static int give_fb(Fake *fake, struct drm_mode_fb_cmd2 *fb) {
        last_fb = fb->fb_id;
        *fb = (struct drm_mode_fb_cmd2){
                .fb_id = fb->fb_id,
                .width = WIDTH,
                .height = HEIGHT,
                .pixel_format = DRM_FORMAT_XRGB8888,
                .flags = fake->fb_flags,
                .handles = { 1 },
                .pitches = { PITCH },
                .modifier = { fake->fb_modifier },
        };
        fake->n_handles++;
        return 0;
}

static int request(Fake *fake, unsigned long number, void *argument) {
        static const struct drm_mode_modeinfo mode = {
                .hdisplay = WIDTH, .vdisplay = HEIGHT, .htotal = 100, .vtotal = 100, .clock = 600
        };
        uint32_t ids[KMS_OBJECTS_MAX] = {};

        switch (number) {
        case DRM_IOCTL_MODE_GETRESOURCES: {
                struct drm_mode_card_res *r = argument;
                ids[0] = CONNECTOR;
                give(r->connector_id_ptr, ids, sizeof(*ids), &r->count_connectors, 1 + fake->hostile);
                ids[0] = CRTC;
                give(r->crtc_id_ptr, ids, sizeof(*ids), &r->count_crtcs, 1 + fake->hostile);
                return 0;
        }
        case DRM_IOCTL_MODE_GETPLANERESOURCES: {
                struct drm_mode_get_plane_res *r = argument;
                for (uint32_t i = 0; i < fake->n_planes; i++)
                        ids[i] = PLANE + i;
                give(r->plane_id_ptr, ids, sizeof(*ids), &r->count_planes, fake->n_planes + fake->hostile);
                return 0;
        }
        case DRM_IOCTL_MODE_GETCONNECTOR: {
                struct drm_mode_get_connector *c = argument;
                if (c->connector_id != CONNECTOR)
                        return ENOENT;
                c->encoder_id = ENCODER;
                c->connection = fake->unplugged ? DRM_MODE_DISCONNECTED : DRM_MODE_CONNECTED;
                c->connector_type = DRM_MODE_CONNECTOR_VIRTUAL;
                c->connector_type_id = 1;
                return 0;
        }
        case DRM_IOCTL_MODE_GETENCODER:
                ((struct drm_mode_get_encoder *) argument)->crtc_id = fake->encoder_crtc;
                return 0;
        case DRM_IOCTL_MODE_GETCRTC:
                *(struct drm_mode_crtc *) argument = (struct drm_mode_crtc){
                        .crtc_id = CRTC, .x = 3, .y = 5, .mode_valid = 1, .mode = mode
                };
                return 0;
        case DRM_IOCTL_MODE_GETPLANE:
                return give_plane(fake, argument);
        case DRM_IOCTL_MODE_OBJ_GETPROPERTIES:
                return give_properties(fake, argument);
        case DRM_IOCTL_MODE_GETPROPERTY: {
                struct drm_mode_get_property *p = argument;
                if (p->prop_id < PROPERTY || p->prop_id >= PROPERTY + ELEMENTSOF(property_names))
                        return ENOENT;
                snprintf(p->name, sizeof(p->name), "%s", property_names[p->prop_id - PROPERTY]);
                return 0;
        }
        case DRM_IOCTL_MODE_GETPROPBLOB: {
                struct drm_mode_get_blob *b = argument;
                assert_int_equal(b->blob_id, BLOB);
                /* What is not this is nothing that may be used. */
                memset((void *) (uintptr_t) b->data, 0x55, b->length);
                if (b->length == fake->blob_size)
                        memcpy((void *) (uintptr_t) b->data, &fake->hdr, b->length);
                b->length = fake->blob_size;
                return 0;
        }
        case DRM_IOCTL_MODE_GETFB2:
                return give_fb(fake, argument);
        case DRM_IOCTL_PRIME_HANDLE_TO_FD:
                ((struct drm_prime_handle *) argument)->fd = memfd_create("dmabuf", MFD_CLOEXEC);
                assert_return_code(ftruncate(((struct drm_prime_handle *) argument)->fd, PITCH * HEIGHT),
                                   errno);
                return 0;
        case DRM_IOCTL_MODE_MAP_DUMB:
                ((struct drm_mode_map_dumb *) argument)->offset = 4096;
                fake->n_copies++;
                return 0;
        case DRM_IOCTL_GEM_CLOSE:
                assert_int_not_equal(fake->n_handles, 0);
                fake->n_handles--;
                return 0;
        default:
                fail_msg("ioctl %#lx", number);
                return EINVAL;
        }
}

/* The first plane shows its other buffer. */
static void flip(Fake *fake) {
        fake->n_flips--;
        fake->fb[0] ^= 1;
        object_set(&fake->planes[0], "FB_ID", fake->fb[0]);
}

int drmIoctl(int fd, unsigned long number, void *argument) {
        Fake *fake = NULL;
        int error;

        for (size_t i = 0; i < CARDS; i++)
                if (fakes[i].fd == fd)
                        fake = &fakes[i];
        assert_non_null(fake);
        n_ioctls++;
        error = (fake->fails == number || fake->fails_too == number) &&
                                                (fake->fails_for == 0 || fake->fails_for == last_fb)
                                ? fake->error
                                : request(fake, number, argument);
        if (fake->flips_at == number && fake->n_flips > 0)
                flip(fake);
        errno = error;
        return error == 0 ? 0 : -1;
}

Object *fake_add_plane(Fake *fake, uint32_t type) {
        uint32_t i = fake->n_planes++;
        Object *plane = &fake->planes[i];

        fake->fb[i] = FB + 2 * i;
        fake->plane_crtc[i] = CRTC;
        object_set(plane, "type", type);
        object_set(plane, "FB_ID", fake->fb[i]);
        object_set(plane, "CRTC_ID", CRTC);
        object_set(plane, "SRC_X", 0);
        object_set(plane, "SRC_Y", 0);
        object_set(plane, "SRC_W", WIDTH << 16);
        object_set(plane, "SRC_H", HEIGHT << 16);
        object_set(plane, "CRTC_X", 0);
        object_set(plane, "CRTC_Y", 0);
        object_set(plane, "CRTC_W", WIDTH);
        object_set(plane, "CRTC_H", HEIGHT);
        return plane;
}

void fake_open_card(size_t i) {
        Card *card = &capd.cards[i];
        KmsIds ids = {};

        card->fd = fakes[i].fd;
        card->n_planes = 0;
        assert_int_equal(kms_planes(card->fd, &ids), 0);
        for (uint32_t k = 0; k < ids.n; k++)
                assert_int_equal(plane_open(card->fd, ids.ids[k], &card->planes[card->n_planes++]), 0);
}

int fake_setup(void **state _unused_) {
        capd = (Capd){ .frames = { "uploadd", .uid = getuid(), .listen_fd = -1 }, .control.listen_fd = -1 };
        assert_return_code(sd_event_new(&capd.event), 0);
        for (size_t i = 0; i < CARDS; i++) {
                Fake *fake = &fakes[i];

                *fake = (Fake){ .fd = memfd_create("card", MFD_CLOEXEC), .encoder_crtc = CRTC };
                assert_return_code(ftruncate(fake->fd, 4096 + PITCH * HEIGHT), errno);
                object_set(&fake->connector, "CRTC_ID", CRTC);
                object_set(&fake->connector, "DPMS", DRM_MODE_DPMS_ON);
                object_set(&fake->crtc, "ACTIVE", 1);
                fake_add_plane(fake, DRM_PLANE_TYPE_PRIMARY);
                snprintf(capd.cards[i].driver, sizeof(capd.cards[i].driver), "fake");
                fake_open_card(i);
        }
        capd.n_cards = CARDS;
        capd.grant = (Grant){ .outputs = UINT64_MAX, .min_interval = 10000000, .expires = UINT64_MAX };
        return 0;
}

int fake_teardown(void **state _unused_) {
        peer_close(&capd.frames);
        capd.event = sd_event_unref(capd.event);
        for (size_t i = 0; i < CARDS; i++) {
                assert_int_equal(fakes[i].n_handles, 0);
                safe_close(fakes[i].fd);
        }
        return 0;
}
