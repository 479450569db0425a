/* SPDX-License-Identifier: Apache-2.0 */

/* One frame, from KMS to what capd says of it, without a client. */

#include "fake-cards.h"

#include "plane/layout.h"

static Frame captured;

static int take(size_t card) {
        frame_close(&captured);
        assert_int_equal(outputs_enumerate(&capd.outputs, capd.cards, capd.n_cards), 0);
        return capture(&capd.outputs.outputs[card], 0, &captured);
}

static const struct wire_plane *first_plane(void) {
        fake_open_card(0);
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

        object_set(object, "alpha", 0x1234);
        object_set(object, "rotation", DRM_MODE_ROTATE_90 | DRM_MODE_REFLECT_Y);
        object_set(object, "zpos", 7);
        object_set(object, "COLOR_ENCODING", WIRE_COLOR_BT2020);
        object_set(object, "COLOR_RANGE", WIRE_COLOR_FULL);
        object_set(object, "HOTSPOT_X", 3);
        object_set(object, "HOTSPOT_Y", (uint64_t) -4);
        object_set(object, "CRTC_X", (uint64_t) -20);
        object_set(object, "CRTC_Y", (uint64_t) INT32_MIN);
        object_set(object, "SRC_X", 5 << 16 | 0x8000);
        for (uint32_t i = 0; i < ELEMENTSOF(blends); i++) {
                object_set(object, "pixel blend mode", i);
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

        fake_add_plane(&fakes[0], DRM_PLANE_TYPE_OVERLAY);
        fake_add_plane(&fakes[0], DRM_PLANE_TYPE_CURSOR);
        for (uint32_t i = 0; i < fakes[0].n_planes; i++) {
                uint64_t type = fakes[0].planes[i].values[0];
                fakes[0].planes[i].n = 0;
                object_set(&fakes[0].planes[i], "type", type);
        }
        object_unset(&fakes[0].connector, "CRTC_ID");
        object_unset(&fakes[0].crtc, "ACTIVE");
        plane = first_plane();
        assert_int_equal(captured.message.n_planes, 1);
        assert_int_equal(captured.shown.fb_ids[0], FB);
        assert_int_equal(plane->type, DRM_PLANE_TYPE_PRIMARY);
        assert_int_equal(plane->src_x, 3 << 16);
        assert_int_equal(plane->src_y, 5 << 16);
        assert_int_equal(plane->src_w, WIDTH << 16);
        assert_int_equal(plane->crtc_w, WIDTH);
        frame_close(&captured);

        object_set(&fakes[0].connector, "DPMS", DRM_MODE_DPMS_SUSPEND);
        assert_int_equal(take(0), WIRE_REASON_OFF);
        /* It is the CRTC of the encoder that counts. */
        fakes[0].encoder_crtc = 0;
        assert_int_equal(capture(&capd.outputs.outputs[0], 0, &captured), -ESTALE);
}

static void test_asleep(void **state _unused_) {
        /* With ACTIVE, DPMS is only what was asked for. */
        object_set(&fakes[0].connector, "DPMS", DRM_MODE_DPMS_OFF);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        object_set(&fakes[0].crtc, "ACTIVE", 0);
        assert_int_equal(take(0), WIRE_REASON_OFF);
        object_set(&fakes[0].crtc, "ACTIVE", 1);
        object_set(&fakes[0].planes[0], "FB_ID", 0);
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

static void test_more_displays_than_can_be_told_of(void **state _unused_) {
        Card card = { .driver = "fake" };
        struct wire_outputs listed;
        Outputs outputs = {};

        for (uint32_t i = 0; i < WIRE_OUTPUTS_MAX + 5; i++)
                outputs.outputs[i] = (Output){ .card = &card,
                                               .crtc = i < WIRE_OUTPUTS_MAX + 4 ? i + 1 : 1,
                                               .connected = true,
                                               .active = true,
                                               .connector_type_id = i + 1 };
        outputs_describe(&outputs, &listed);
        assert_int_equal(listed.n_outputs, WIRE_OUTPUTS_MAX);
        assert_int_equal(listed.n_left_out, 4);
        assert_int_equal(listed.outputs[WIRE_OUTPUTS_MAX - 1].id, WIRE_OUTPUTS_MAX - 1);
}

static void test_order_of_planes(void **state _unused_) {
        static const uint64_t zpos[] = { 9, 9, 2 };
        static const uint32_t order[] = { FB, FB + 6, FB + 2, FB + 4 };

        for (size_t i = 0; i < ELEMENTSOF(zpos); i++)
                object_set(fake_add_plane(&fakes[0], DRM_PLANE_TYPE_OVERLAY), "zpos", zpos[i]);
        first_plane();
        assert_int_equal(captured.message.n_planes, 4);
        /* What is the same is as the card tells them. */
        for (uint32_t i = 0; i < 4; i++) {
                assert_int_equal(captured.shown.fb_ids[i], order[i]);
                assert_int_equal(captured.message.planes[i].plane_id, captured.shown.plane_ids[i]);
        }
        /* Without the property: primary, overlays, cursor. */
        fake_teardown(NULL);
        fake_setup(NULL);
        fake_add_plane(&fakes[0], DRM_PLANE_TYPE_CURSOR);
        fake_add_plane(&fakes[0], DRM_PLANE_TYPE_OVERLAY);
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
        object_set(&fakes[0].connector, "Colorspace", BT2020_RGB);
        object_set(&fakes[0].connector, "HDR_OUTPUT_METADATA", BLOB);
        fakes[0].blob_size = sizeof(fakes[0].hdr);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        assert_int_equal(captured.message.hdr.eotf, 2);
        assert_int_equal(captured.message.hdr.max_luminance, 1000);
        assert_int_equal(captured.message.hdr.min_luminance, 50);
        assert_int_equal(captured.message.hdr.max_content, 800);
        assert_int_equal(captured.message.hdr.max_average, 300);
        assert_int_equal(captured.message.hdr.colorspace, BT2020_RGB);

        object_set(&fakes[0].connector, "Colorspace", 0);
        for (uint32_t size = 0; size < 64; size++) {
                fakes[0].blob_size = size;
                assert_int_equal(take(0), WIRE_REASON_NONE);
                if (size != sizeof(fakes[0].hdr))
                        assert_memory_equal(&captured.message.hdr, &sdr, sizeof(sdr));
        }
        fakes[0].blob_size = UINT32_MAX;
        assert_int_equal(take(0), WIRE_REASON_NONE);
        assert_memory_equal(&captured.message.hdr, &sdr, sizeof(sdr));
        object_set(&fakes[0].connector, "HDR_OUTPUT_METADATA", 0);
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
                object_set(&fakes[0].planes[0], "type", cases[i].type);
                fakes[0].fb_flags = cases[i].told == DRM_FORMAT_MOD_INVALID ? 0 : DRM_MODE_FB_MODIFIERS;
                fakes[0].fb_modifier = cases[i].told == DRM_FORMAT_MOD_INVALID ? 77 : cases[i].told;
                assert_true(first_plane()->modifier == cases[i].believed);
        }
        frame_close(&captured);
}

static void test_a_pointer_that_is_not_to_be_had(void **state _unused_) {
        fake_add_plane(&fakes[0], DRM_PLANE_TYPE_CURSOR);
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
        object_set(&fakes[0].planes[1], "type", DRM_PLANE_TYPE_OVERLAY);
        fake_open_card(0);
        assert_int_equal(take(0), WIRE_REASON_NONE);
        assert_int_equal(captured.message.n_planes, 2);
        assert_int_equal(captured.message.memory, WIRE_MEMORY_MEMFD);

        fakes[0].fails_too = DRM_IOCTL_MODE_MAP_DUMB;
        assert_int_equal(take(0), WIRE_REASON_UNDECODABLE);
        assert_int_equal(captured.format, DRM_FORMAT_XRGB8888);

        /* Nothing but a pointer. */
        object_set(&fakes[0].planes[0], "FB_ID", 0);
        object_set(&fakes[0].planes[1], "type", DRM_PLANE_TYPE_CURSOR);
        fake_open_card(0);
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

        fake_add_plane(&fakes[0], DRM_PLANE_TYPE_CURSOR);
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
                object_set(changes[i].object, changes[i].name, changes[i].value);
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
        object_set(&fakes[0].crtc, "ACTIVE", 0);
        assert_int_equal(capture(o, identity, &captured), WIRE_REASON_OFF);
}

#undef main /* capd's own goes by another name */
int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_a_frame),
                TEST(test_plane_properties),
                TEST(test_without_atomic_modesetting),
                TEST(test_asleep),
                TEST(test_more_displays_than_can_be_told_of),
                TEST(test_displays_that_show_nothing),
                TEST(test_order_of_planes),
                TEST(test_hdr),
                TEST(test_counts_beyond_what_there_is_room_for),
                TEST(test_layouts_that_are_not_told),
                TEST(test_a_pointer_that_is_not_to_be_had),
                TEST(test_copies_are_no_habit),
                TEST(test_no_flip),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
