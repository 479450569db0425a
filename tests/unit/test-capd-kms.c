/* SPDX-License-Identifier: Apache-2.0 */

/* capd between KMS and its client, with what no driver of a virtual machine has or does: the kernel's side
 * is a table of objects and properties here. The client is a real connection. */

#include "unit.h"

#include <drm_fourcc.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "capd.h"
#include "plane/layout.h"

#define CARDS      2
#define PLANES     4
#define PROPERTIES 24
#define WIDTH      64U
#define HEIGHT     48U
#define PITCH      (WIDTH * 4)
#define BT2020_RGB 9U /* DRM_MODE_COLORIMETRY_BT2020_RGB */

/* Ids are the kernel's: of one card, and 0 is none. */
enum { CONNECTOR = 10, ENCODER = 20, CRTC = 30, PLANE = 40, FB = 60, BLOB = 90, PROPERTY = 500 };

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

static Fake fakes[CARDS];
static Capd capd;
static unsigned n_ioctls;
static uint32_t last_fb; /* whose handle was minted last */

static uint32_t property_id(const char *name) {
        for (uint32_t i = 0; i < ELEMENTSOF(property_names); i++)
                if (strcmp(property_names[i], name) == 0)
                        return PROPERTY + i;
        fail_msg("property %s", name);
        return 0;
}

static void set(Object *object, const char *name, uint64_t value) {
        uint32_t id = property_id(name), i = 0;

        while (i < object->n && object->ids[i] != id)
                i++;
        object->ids[i] = id;
        object->values[i] = value;
        object->n = i == object->n ? i + 1 : object->n;
}

static void unset(Object *object, const char *name) {
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
        set(&fake->planes[0], "FB_ID", fake->fb[0]);
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

/* Another plane of the card, which shows a framebuffer of its own. */
static Object *add_plane(Fake *fake, uint32_t type) {
        uint32_t i = fake->n_planes++;
        Object *plane = &fake->planes[i];

        fake->fb[i] = FB + 2 * i;
        fake->plane_crtc[i] = CRTC;
        set(plane, "type", type);
        set(plane, "FB_ID", fake->fb[i]);
        set(plane, "CRTC_ID", CRTC);
        set(plane, "SRC_X", 0);
        set(plane, "SRC_Y", 0);
        set(plane, "SRC_W", WIDTH << 16);
        set(plane, "SRC_H", HEIGHT << 16);
        set(plane, "CRTC_X", 0);
        set(plane, "CRTC_Y", 0);
        set(plane, "CRTC_W", WIDTH);
        set(plane, "CRTC_H", HEIGHT);
        return plane;
}

static void open_card(size_t i) {
        Card *card = &capd.cards[i];
        KmsIds ids = {};

        card->fd = fakes[i].fd;
        card->n_planes = 0;
        assert_int_equal(kms_planes(card->fd, &ids), 0);
        for (uint32_t k = 0; k < ids.n; k++)
                assert_int_equal(plane_open(card->fd, ids.ids[k], &card->planes[card->n_planes++]), 0);
}

static int setup(void **state _unused_) {
        capd = (Capd){ .frames = { "uploadd", .uid = getuid(), .listen_fd = -1 }, .control.listen_fd = -1 };
        assert_return_code(sd_event_new(&capd.event), 0);
        for (size_t i = 0; i < CARDS; i++) {
                Fake *fake = &fakes[i];

                *fake = (Fake){ .fd = memfd_create("card", MFD_CLOEXEC), .encoder_crtc = CRTC };
                assert_return_code(ftruncate(fake->fd, 4096 + PITCH * HEIGHT), errno);
                set(&fake->connector, "CRTC_ID", CRTC);
                set(&fake->connector, "DPMS", DRM_MODE_DPMS_ON);
                set(&fake->crtc, "ACTIVE", 1);
                add_plane(fake, DRM_PLANE_TYPE_PRIMARY);
                snprintf(capd.cards[i].driver, sizeof(capd.cards[i].driver), "fake");
                open_card(i);
        }
        capd.n_cards = CARDS;
        capd.grant = (Grant){ .outputs = UINT64_MAX, .min_interval = 10000000, .expires = UINT64_MAX };
        return 0;
}

static int teardown(void **state _unused_) {
        peer_close(&capd.frames);
        capd.event = sd_event_unref(capd.event);
        for (size_t i = 0; i < CARDS; i++) {
                assert_int_equal(fakes[i].n_handles, 0);
                safe_close(fakes[i].fd);
        }
        return 0;
}

/* --- one frame, without a client */

static Frame captured;

static int take(size_t card) {
        frame_close(&captured);
        assert_int_equal(outputs_enumerate(&capd.outputs, capd.cards, capd.n_cards), 0);
        return capture(&capd.outputs.outputs[card], 0, &captured);
}

static const struct wire_plane *first_plane(void) {
        open_card(0);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        return &captured.message.planes[0];
}

static void test_a_frame(void **state _unused_) {
        const struct wire_plane *plane = first_plane();

        assert_int_equal(captured.message.n_planes, 1);
        assert_int_equal(captured.message.n_fds, 1);
        assert_int_equal(captured.message.memory, WIRE_MEMORY_DMABUF);
        assert_int_equal(captured.message.pointer_missing, 0);
        assert_int_equal(plane->src_w, WIDTH << 16);
        assert_int_equal(plane->crtc_h, HEIGHT);
        /* What drivers without the properties mean. */
        assert_int_equal(plane->alpha, 0xffff);
        assert_int_equal(plane->blend_mode, WIRE_BLEND_PREMULTIPLIED);
        assert_int_equal(plane->zpos, 0);
        assert_int_equal(plane->rotation, 0);
        assert_int_equal(plane->color_encoding, WIRE_COLOR_BT601);
        assert_int_equal(plane->color_range, WIRE_COLOR_LIMITED);
        frame_close(&captured);
}

static void test_plane_properties(void **state _unused_) {
        static const uint32_t blends[] = { WIRE_BLEND_PREMULTIPLIED, WIRE_BLEND_COVERAGE, WIRE_BLEND_NONE,
                                           WIRE_BLEND_NONE };
        Object *object = &fakes[0].planes[0];
        const struct wire_plane *plane;

        set(object, "alpha", 0x1234);
        set(object, "rotation", DRM_MODE_ROTATE_90 | DRM_MODE_REFLECT_Y);
        set(object, "zpos", 7);
        set(object, "COLOR_ENCODING", WIRE_COLOR_BT2020);
        set(object, "COLOR_RANGE", WIRE_COLOR_FULL);
        set(object, "HOTSPOT_X", 3);
        set(object, "HOTSPOT_Y", (uint64_t) -4);
        set(object, "CRTC_X", (uint64_t) -20);
        set(object, "CRTC_Y", (uint64_t) INT32_MIN);
        set(object, "SRC_X", 5 << 16 | 0x8000);
        for (uint32_t i = 0; i < ELEMENTSOF(blends); i++) {
                set(object, "pixel blend mode", i);
                plane = first_plane();
                assert_int_equal(plane->blend_mode, blends[i]);
        }
        assert_int_equal(plane->alpha, 0x1234);
        assert_int_equal(plane->rotation, DRM_MODE_ROTATE_90 | DRM_MODE_REFLECT_Y);
        assert_int_equal(plane->zpos, 7);
        assert_int_equal(plane->color_encoding, WIRE_COLOR_BT2020);
        assert_int_equal(plane->color_range, WIRE_COLOR_FULL);
        assert_int_equal(plane->hotspot_x, 3);
        assert_int_equal(plane->hotspot_y, -4);
        assert_int_equal(plane->crtc_x, -20);
        assert_int_equal(plane->crtc_y, INT32_MIN);
        assert_int_equal(plane->src_x, 5 << 16 | 0x8000);
        frame_close(&captured);
}

/* GETPLANE tells the framebuffer then, and GETCRTC which part of it: only of the primary plane. */
static void test_without_atomic_modesetting(void **state _unused_) {
        const struct wire_plane *plane;

        add_plane(&fakes[0], DRM_PLANE_TYPE_OVERLAY);
        add_plane(&fakes[0], DRM_PLANE_TYPE_CURSOR);
        for (uint32_t i = 0; i < fakes[0].n_planes; i++) {
                uint64_t type = fakes[0].planes[i].values[0];
                fakes[0].planes[i].n = 0;
                set(&fakes[0].planes[i], "type", type);
        }
        unset(&fakes[0].connector, "CRTC_ID");
        unset(&fakes[0].crtc, "ACTIVE");
        plane = first_plane();
        assert_int_equal(captured.message.n_planes, 1);
        assert_int_equal(captured.shown.fb_ids[0], FB);
        assert_int_equal(plane->type, DRM_PLANE_TYPE_PRIMARY);
        assert_int_equal(plane->src_x, 3 << 16);
        assert_int_equal(plane->src_y, 5 << 16);
        assert_int_equal(plane->src_w, WIDTH << 16);
        assert_int_equal(plane->crtc_w, WIDTH);
        frame_close(&captured);

        set(&fakes[0].connector, "DPMS", DRM_MODE_DPMS_SUSPEND);
        assert_int_equal(take(0), WIRE_REASON_OFF);
        /* It is the CRTC of the encoder that counts. */
        fakes[0].encoder_crtc = 0;
        assert_int_equal(capture(&capd.outputs.outputs[0], 0, &captured), -ESTALE);
}

static void test_asleep(void **state _unused_) {
        /* With ACTIVE, DPMS is only what was asked for. */
        set(&fakes[0].connector, "DPMS", DRM_MODE_DPMS_OFF);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        set(&fakes[0].crtc, "ACTIVE", 0);
        assert_int_equal(take(0), WIRE_REASON_OFF);
        set(&fakes[0].crtc, "ACTIVE", 1);
        set(&fakes[0].planes[0], "FB_ID", 0);
        assert_int_equal(take(0), WIRE_REASON_OFF);
}

static void test_displays_that_show_nothing(void **state _unused_) {
        struct wire_outputs listed;

        assert_int_equal(capd_enumerate(&capd), 0);
        fakes[0].encoder_crtc = 0;
        assert_int_equal(capd_enumerate(&capd), 0);
        outputs_describe(&capd.outputs, &listed);
        assert_int_equal(listed.n_outputs, 1);
        assert_int_equal(listed.asleep, 1);
        fakes[0].unplugged = true;
        assert_int_equal(capd_enumerate(&capd), 0);
        outputs_describe(&capd.outputs, &listed);
        assert_int_equal(listed.n_outputs, 1);
        assert_int_equal(listed.asleep, 0);
        /* Nothing is plugged in, but a picture is sent there. */
        fakes[0].encoder_crtc = CRTC;
        assert_int_equal(capd_enumerate(&capd), 0);
        outputs_describe(&capd.outputs, &listed);
        assert_int_equal(listed.n_outputs, 2);
        assert_int_equal(listed.asleep, 0);
}

static void test_order_of_planes(void **state _unused_) {
        static const uint64_t zpos[] = { 9, 9, 2 };
        static const uint32_t order[] = { FB, FB + 6, FB + 2, FB + 4 };

        for (size_t i = 0; i < ELEMENTSOF(zpos); i++)
                set(add_plane(&fakes[0], DRM_PLANE_TYPE_OVERLAY), "zpos", zpos[i]);
        first_plane();
        assert_int_equal(captured.message.n_planes, 4);
        /* What is the same is as the card tells them. */
        for (uint32_t i = 0; i < 4; i++) {
                assert_int_equal(captured.shown.fb_ids[i], order[i]);
                assert_int_equal(captured.message.planes[i].plane_id, captured.shown.plane_ids[i]);
        }
        /* Without the property: primary, overlays, cursor. */
        teardown(NULL);
        setup(NULL);
        add_plane(&fakes[0], DRM_PLANE_TYPE_CURSOR);
        add_plane(&fakes[0], DRM_PLANE_TYPE_OVERLAY);
        first_plane();
        assert_int_equal(captured.message.planes[1].type, DRM_PLANE_TYPE_OVERLAY);
        assert_int_equal(captured.message.planes[2].type, DRM_PLANE_TYPE_CURSOR);
        frame_close(&captured);
}

static void test_hdr(void **state _unused_) {
        const struct wire_hdr sdr = {};

        fakes[0].hdr.hdmi_metadata_type1 =
                        (struct hdr_metadata_infoframe){ .eotf = 2,
                                                         .max_display_mastering_luminance = 1000,
                                                         .min_display_mastering_luminance = 50,
                                                         .max_cll = 800,
                                                         .max_fall = 300 };
        set(&fakes[0].connector, "Colorspace", BT2020_RGB);
        set(&fakes[0].connector, "HDR_OUTPUT_METADATA", BLOB);
        fakes[0].blob_size = sizeof(fakes[0].hdr);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        assert_int_equal(captured.message.hdr.eotf, 2);
        assert_int_equal(captured.message.hdr.max_luminance, 1000);
        assert_int_equal(captured.message.hdr.min_luminance, 50);
        assert_int_equal(captured.message.hdr.max_content, 800);
        assert_int_equal(captured.message.hdr.max_average, 300);
        assert_int_equal(captured.message.hdr.colorspace, BT2020_RGB);

        set(&fakes[0].connector, "Colorspace", 0);
        for (uint32_t size = 0; size < 64; size++) {
                fakes[0].blob_size = size;
                assert_int_equal(take(0), WIRE_REASON_NONE);
                if (size != sizeof(fakes[0].hdr))
                        assert_memory_equal(&captured.message.hdr, &sdr, sizeof(sdr));
        }
        fakes[0].blob_size = UINT32_MAX;
        assert_int_equal(take(0), WIRE_REASON_NONE);
        assert_memory_equal(&captured.message.hdr, &sdr, sizeof(sdr));
        set(&fakes[0].connector, "HDR_OUTPUT_METADATA", 0);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        frame_close(&captured);
}

static void test_counts_beyond_what_there_is_room_for(void **state _unused_) {
        static const uint32_t counts[] = { KMS_OBJECTS_MAX - 1, KMS_OBJECTS_MAX, 1000,
                                           UINT32_MAX - PROPERTIES };

        for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
                KmsIds a = {}, b = {};
                KmsProperties properties = {};

                fakes[0].hostile = counts[i];
                assert_int_equal(kms_properties(fakes[0].fd, CRTC, DRM_MODE_OBJECT_CRTC, &properties), 0);
                assert_true(properties.n <= KMS_PROPERTIES_MAX);
                assert_int_equal(kms_resources(fakes[0].fd, &a, &b), 0);
                assert_true(a.n <= KMS_OBJECTS_MAX && b.n <= KMS_OBJECTS_MAX);
                assert_int_equal(kms_planes(fakes[0].fd, &a), 0);
                assert_true(a.n <= KMS_OBJECTS_MAX);
        }
}

static void test_layouts_that_are_not_told(void **state _unused_) {
        static const struct {
                const char *driver;
                uint32_t type;
                uint64_t told, believed;
        } cases[] = {
                { "i915", DRM_PLANE_TYPE_PRIMARY, DRM_FORMAT_MOD_INVALID, DRM_FORMAT_MOD_LINEAR },
                { "qxl", DRM_PLANE_TYPE_PRIMARY, DRM_FORMAT_MOD_INVALID, DRM_FORMAT_MOD_LINEAR },
                { "amdgpu", DRM_PLANE_TYPE_PRIMARY, DRM_FORMAT_MOD_INVALID, DRM_FORMAT_MOD_INVALID },
                { "amdgpu", DRM_PLANE_TYPE_OVERLAY, DRM_FORMAT_MOD_INVALID, DRM_FORMAT_MOD_INVALID },
                { "amdgpu", DRM_PLANE_TYPE_CURSOR, DRM_FORMAT_MOD_INVALID, DRM_FORMAT_MOD_LINEAR },
                { "amdgpu", DRM_PLANE_TYPE_PRIMARY, DRM_FORMAT_MOD_LINEAR, DRM_FORMAT_MOD_LINEAR },
                { "amdgpu", DRM_PLANE_TYPE_PRIMARY, 0x0200000018601b03, 0x0200000018601b03 },
                { "radeon", DRM_PLANE_TYPE_PRIMARY, DRM_FORMAT_MOD_INVALID, DRM_FORMAT_MOD_INVALID },
                { "nouveau", DRM_PLANE_TYPE_PRIMARY, DRM_FORMAT_MOD_INVALID, DRM_FORMAT_MOD_INVALID },
                { "nouveau", DRM_PLANE_TYPE_PRIMARY, DRM_FORMAT_MOD_LINEAR, DRM_FORMAT_MOD_INVALID },
                { "nouveau", DRM_PLANE_TYPE_CURSOR, DRM_FORMAT_MOD_LINEAR, DRM_FORMAT_MOD_LINEAR },
                { "i915", DRM_PLANE_TYPE_PRIMARY, I915_FORMAT_MOD_X_TILED, I915_FORMAT_MOD_X_TILED },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_true(layout_modifier(cases[i].driver, cases[i].type, cases[i].told) ==
                            cases[i].believed);
                /* And so does a frame. */
                snprintf(capd.cards[0].driver, sizeof(capd.cards[0].driver), "%s", cases[i].driver);
                set(&fakes[0].planes[0], "type", cases[i].type);
                fakes[0].fb_flags = cases[i].told == DRM_FORMAT_MOD_INVALID ? 0 : DRM_MODE_FB_MODIFIERS;
                fakes[0].fb_modifier = cases[i].told == DRM_FORMAT_MOD_INVALID ? 77 : cases[i].told;
                assert_true(first_plane()->modifier == cases[i].believed);
        }
        frame_close(&captured);
}

static void test_a_pointer_that_is_not_to_be_had(void **state _unused_) {
        add_plane(&fakes[0], DRM_PLANE_TYPE_CURSOR);
        fakes[0].fails = DRM_IOCTL_PRIME_HANDLE_TO_FD;
        fakes[0].error = ENOSYS;
        fakes[0].fails_for = FB + 2;
        first_plane();
        assert_int_equal(captured.message.n_planes, 1);
        assert_int_equal(captured.message.n_fds, 1);
        assert_int_equal(captured.message.memory, WIRE_MEMORY_DMABUF);
        assert_int_equal(captured.message.pointer_missing, 1);
        assert_int_equal(captured.message.planes[0].type, DRM_PLANE_TYPE_PRIMARY);

        /* An overlay is no pointer: without it the picture would be wrong. */
        set(&fakes[0].planes[1], "type", DRM_PLANE_TYPE_OVERLAY);
        open_card(0);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        assert_int_equal(captured.message.n_planes, 2);
        assert_int_equal(captured.message.memory, WIRE_MEMORY_MEMFD);

        fakes[0].fails_too = DRM_IOCTL_MODE_MAP_DUMB;
        assert_int_equal(take(0), WIRE_REASON_UNDECODABLE);
        assert_int_equal(captured.format, DRM_FORMAT_XRGB8888);

        /* Nothing but a pointer. */
        set(&fakes[0].planes[0], "FB_ID", 0);
        set(&fakes[0].planes[1], "type", DRM_PLANE_TYPE_CURSOR);
        open_card(0);
        assert_int_equal(take(0), WIRE_REASON_UNDECODABLE);
        frame_close(&captured);
}

/* That a buffer could not be exported says nothing of the next. */
static void test_copies_are_no_habit(void **state _unused_) {
        fakes[0].fails = DRM_IOCTL_PRIME_HANDLE_TO_FD;
        fakes[0].error = EINVAL;
        assert_int_equal(take(0), WIRE_REASON_NONE);
        assert_int_equal(captured.message.memory, WIRE_MEMORY_MEMFD);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        fakes[0].fails = DRM_IOCTL_MODE_MAP_DUMB;
        assert_int_equal(take(0), WIRE_REASON_NONE);
        assert_int_equal(captured.message.memory, WIRE_MEMORY_DMABUF);
        frame_close(&captured);
}

/* Cheap, and wrong about nothing but the pixels. */
static void test_no_flip(void **state _unused_) {
        const Output *o = &capd.outputs.outputs[0];
        uint64_t identity;

        add_plane(&fakes[0], DRM_PLANE_TYPE_CURSOR);
        first_plane();
        identity = captured.message.identity;
        assert_true(identity != 0);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        assert_true(captured.message.identity == identity);
        frame_close(&captured);

        n_ioctls = 0;
        assert_int_equal(capture(o, identity, &captured), WIRE_REASON_NO_FLIP);
        assert_int_equal(n_ioctls, 3 + fakes[0].n_planes);
        assert_int_equal(captured.memory.n, 0);

        struct {
                Object *object;
                const char *name;
                uint64_t value;
        } changes[] = {
                { &fakes[0].planes[0], "FB_ID", FB + 1 },
                { &fakes[0].planes[1], "FB_ID", FB + 3 },
                { &fakes[0].planes[1], "CRTC_X", 1 },
                { &fakes[0].planes[1], "CRTC_ID", 0 },
                { &fakes[0].connector, "Colorspace", BT2020_RGB },
        };
        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                set(changes[i].object, changes[i].name, changes[i].value);
                fakes[0].fb[0] = (uint32_t) fakes[0].planes[0].values[1];
                fakes[0].fb[1] = (uint32_t) fakes[0].planes[1].values[1];
                /* The connector's properties are resolved when it is first seen. */
                capd.outputs.outputs[0].properties.connector = 0;
                assert_int_equal(outputs_enumerate(&capd.outputs, capd.cards, capd.n_cards), 0);
                frame_close(&captured);
                assert_int_equal(capture(o, identity, &captured), WIRE_REASON_NONE);
                assert_true(captured.message.identity != identity);
                identity = captured.message.identity;
        }
        frame_close(&captured);
        set(&fakes[0].crtc, "ACTIVE", 0);
        assert_int_equal(capture(o, identity, &captured), WIRE_REASON_OFF);
}

/* --- with a client */

typedef union Answer {
        uint32_t type;
        struct wire_frame frame;
        struct wire_frame_none none;
        struct wire_frame_confirmed confirmed;
        struct wire_outputs outputs;
} Answer;

static int client_new(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const struct wire_hello hello = { WIRE_HELLO, WIRE_VERSION };
        socklen_t size = sizeof(sa_family_t);
        int fd;

        capd.frames.listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_return_code(bind(capd.frames.listen_fd, (struct sockaddr *) &address, size),
                           errno); /* autobind */
        assert_return_code(listen(capd.frames.listen_fd, 1), errno);
        size = sizeof(address);
        assert_return_code(getsockname(capd.frames.listen_fd, (struct sockaddr *) &address, &size), errno);
        assert_return_code(frames_listen(&capd), 0);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_return_code(connect(fd, (struct sockaddr *) &address, size), errno);
        assert_int_equal(send(fd, &hello, sizeof(hello), 0), sizeof(hello));
        return fd;
}

/* What capd answers, whose descriptors are closed. False: it has ended. */
static bool ask(int fd, const void *message, size_t size, Answer *ret) {
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * WIRE_FRAME_FDS_MAX)];
        } control;

        assert_int_equal(send(fd, message, size, 0), size);
        while (sd_event_get_state(capd.event) != SD_EVENT_FINISHED) {
                struct iovec iovec = { ret, sizeof(*ret) };
                struct msghdr msghdr = { .msg_iov = &iovec,
                                         .msg_iovlen = 1,
                                         .msg_control = &control,
                                         .msg_controllen = sizeof(control) };

                assert_return_code(sd_event_run(capd.event, 10000), 0);
                if (recvmsg(fd, &msghdr, MSG_CMSG_CLOEXEC) <= 0 || ret->type == WIRE_HELLO)
                        continue;
                struct cmsghdr *c = CMSG_FIRSTHDR(&msghdr);
                for (size_t i = 0; c && CMSG_LEN(sizeof(int) * i) < c->cmsg_len; i++) {
                        int received;
                        memcpy(&received, CMSG_DATA(c) + sizeof(int) * i, sizeof(int));
                        close(received);
                }
                return true;
        }
        return false;
}

static bool ask_frame(int fd, uint32_t output, Answer *ret) {
        const struct wire_frame_next next = { WIRE_FRAME_NEXT, output, 0 };
        return ask(fd, &next, sizeof(next), ret);
}

static uint32_t ask_whole(int fd, const Answer *frame) {
        const struct wire_frame_confirm confirm = { WIRE_FRAME_CONFIRM, frame->frame.output,
                                                    frame->frame.sequence };
        Answer answer = {};

        assert_true(ask(fd, &confirm, sizeof(confirm), &answer));
        assert_int_equal(answer.type, WIRE_FRAME_CONFIRMED);
        return answer.confirmed.whole;
}

/* A copy that a flip has torn is made again, but not for ever. */
static void test_copies_on_a_screen_that_flips(void **state _unused_) {
        _cleanup_close_ int client = client_new();
        Answer answer = {};

        fakes[0].fails = DRM_IOCTL_PRIME_HANDLE_TO_FD;
        fakes[0].error = ENOSYS;
        fakes[0].flips_at = DRM_IOCTL_MODE_MAP_DUMB;
        for (unsigned flips = 0; flips <= 5; flips++) {
                fakes[0].n_flips = flips;
                fakes[0].n_copies = 0;
                capd.grant.served = 0;
                assert_true(ask_frame(client, 0, &answer));
                assert_int_equal(answer.type, WIRE_FRAME_FRAME);
                assert_int_equal(answer.frame.memory, WIRE_MEMORY_MEMFD);
                assert_int_equal(fakes[0].n_copies, flips < 3 ? flips + 1 : 3);
                assert_int_equal(ask_whole(client, &answer), flips < 3 ? WIRE_WHOLE : WIRE_TORN);
        }
}

/* Between the id and its handles, the id may have become another's. */
static void test_nothing_is_copied_that_is_not_shown(void **state _unused_) {
        _cleanup_close_ int client = client_new();
        Answer answer = {};

        fakes[0].fails = DRM_IOCTL_PRIME_HANDLE_TO_FD;
        fakes[0].error = ENOSYS;
        fakes[0].flips_at = DRM_IOCTL_MODE_GETFB2;
        fakes[0].n_flips = UINT32_MAX;
        assert_true(ask_frame(client, 0, &answer));
        assert_int_equal(answer.type, WIRE_FRAME_NONE);
        assert_int_equal(answer.none.reason, WIRE_REASON_TOO_SOON);
        assert_int_equal(fakes[0].n_copies, 0);
}

/* Who asked is to ask again, but not at once. */
static void test_a_screen_that_never_holds_still(void **state _unused_) {
        _cleanup_close_ int client = client_new();
        uint64_t before = capd_now();
        Answer answer = {};

        fakes[0].flips_at = DRM_IOCTL_PRIME_HANDLE_TO_FD;
        fakes[0].n_flips = UINT32_MAX;
        assert_true(ask_frame(client, 0, &answer));
        assert_int_equal(answer.type, WIRE_FRAME_NONE);
        assert_int_equal(answer.none.reason, WIRE_REASON_TOO_SOON);
        assert_true(answer.none.not_before >= before + capd.grant.min_interval);
        assert_true(answer.none.not_before <= capd_now() + capd.grant.min_interval);
        fakes[0].n_flips = 0;
        assert_true(ask_frame(client, 0, &answer));
        assert_int_equal(answer.type, WIRE_FRAME_FRAME);
}

/* What one card refuses is no reason to show nothing of the others. */
static void test_one_bad_card(void **state _unused_) {
        static const unsigned long requests[] = { DRM_IOCTL_MODE_GETFB2, DRM_IOCTL_MODE_OBJ_GETPROPERTIES,
                                                  DRM_IOCTL_MODE_GETCRTC, DRM_IOCTL_MODE_GETPLANE };
        _cleanup_close_ int client = client_new();
        Answer answer = {};

        assert_true(ask_frame(client, 0, &answer));
        for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
                fakes[0].fails = requests[i];
                fakes[0].error = EIO;
                capd.grant.served = 0;
                assert_true(ask_frame(client, 0, &answer));
                assert_int_equal(answer.type, WIRE_FRAME_NONE);
                assert_int_equal(answer.none.reason, WIRE_REASON_UNDECODABLE);
                assert_true(ask_frame(client, 1, &answer));
                assert_int_equal(answer.type, WIRE_FRAME_FRAME);
        }

        fakes[0].fails = DRM_IOCTL_MODE_GETRESOURCES;
        const struct wire_plain get = { .type = WIRE_FRAME_OUTPUTS_GET };
        assert_true(ask(client, &get, sizeof(get), &answer));
        assert_int_equal(answer.type, WIRE_FRAME_OUTPUTS);
        assert_int_equal(answer.outputs.n_outputs, 1);
        assert_int_equal(answer.outputs.outputs[0].id, 1);
        capd.grant.served = 0;
        assert_true(ask_frame(client, 0, &answer));
        assert_int_equal(answer.none.reason, WIRE_REASON_UNPLUGGED);
        assert_true(ask_frame(client, 1, &answer));
        assert_int_equal(answer.type, WIRE_FRAME_FRAME);
        fakes[0].fails = 0;
        assert_true(ask(client, &get, sizeof(get), &answer));
        assert_int_equal(answer.outputs.n_outputs, 2);
}

static void test_what_capd_cannot_go_on_with(void **state _unused_) {
        static const struct { int error, code; } cases[] = { { ENODEV, 0 }, { EPERM, -EPERM } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_close_ int client = client_new();
                Answer answer = {};
                int code;

                fakes[0].fails = DRM_IOCTL_MODE_GETCRTC;
                fakes[0].error = cases[i].error;
                capd.outputs.outputs[0] = (Output){ .known = true,
                                                    .active = true,
                                                    .card = &capd.cards[0],
                                                    .connector = CONNECTOR,
                                                    .crtc = CRTC };
                fakes[0].encoder_crtc = CRTC;
                assert_false(ask_frame(client, 0, &answer));
                assert_return_code(sd_event_get_exit_code(capd.event, &code), 0);
                assert_int_equal(code, cases[i].code);
                teardown(NULL);
                setup(NULL);
        }
}

#undef main /* capd's own goes by another name */
int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_a_frame),
                TEST(test_plane_properties),
                TEST(test_without_atomic_modesetting),
                TEST(test_asleep),
                TEST(test_displays_that_show_nothing),
                TEST(test_order_of_planes),
                TEST(test_hdr),
                TEST(test_counts_beyond_what_there_is_room_for),
                TEST(test_layouts_that_are_not_told),
                TEST(test_a_pointer_that_is_not_to_be_had),
                TEST(test_copies_are_no_habit),
                TEST(test_no_flip),
                TEST(test_copies_on_a_screen_that_flips),
                TEST(test_nothing_is_copied_that_is_not_shown),
                TEST(test_a_screen_that_never_holds_still),
                TEST(test_one_bad_card),
                TEST(test_what_capd_cannot_go_on_with),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
