/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include <drm_fourcc.h>

#include "cleanup.h"
#include "modifier-name.h"

#define AMD(version, tile, more)                                                                            \
        (AMD_FMT_MOD | AMD_FMT_MOD_SET(TILE_VERSION, AMD_FMT_MOD_TILE_VER_##version) |                      \
         AMD_FMT_MOD_SET(TILE, AMD_FMT_MOD_TILE_##tile) | (more))

static void test_names(void **state _unused_) {
        static const struct {
                uint64_t modifier;
                const char *name;
        } cases[] = {
                { DRM_FORMAT_MOD_INVALID, "no modifier" },
                { DRM_FORMAT_MOD_LINEAR, "DRM_FORMAT_MOD_LINEAR" },
                { I915_FORMAT_MOD_4_TILED_DG2_RC_CCS, "I915_FORMAT_MOD_4_TILED_DG2_RC_CCS" },
                { 0x010000000000000d, "I915_FORMAT_MOD_4_TILED_MTL_RC_CCS" },
                { 0x0100000000000010, "I915_FORMAT_MOD_4_TILED_LNL_CCS" },
                { 0x0100000000000011, "I915_FORMAT_MOD_4_TILED_BMG_CCS" },
                { 0x0100000000000099, "Intel modifier 0x100000000000099" },
                { AMD(GFX9, GFX9_64K_S_X, 0), "AMD_FMT_MOD(GFX9, 64K_S_X)" },
                { AMD(GFX10, GFX9_64K_D_X, 0), "AMD_FMT_MOD(GFX10, 64K_D_X)" },
                { AMD(GFX10_RBPLUS, GFX9_64K_R_X, AMD_FMT_MOD_SET(DCC, 1) | AMD_FMT_MOD_SET(DCC_RETILE, 1)),
                  "AMD_FMT_MOD(GFX10_RBPLUS, 64K_R_X, DCC)" },
                { 0x0200000018601b03, "AMD_FMT_MOD(GFX10_RBPLUS, 64K_R_X)" },
                { AMD_FMT_MOD | 5 | 3 << 8, "AMD_FMT_MOD(GFX12, 64K_2D)" },
                { AMD_FMT_MOD | 0xff | 30 << 8, "AMD_FMT_MOD(?, ?)" },
                { DRM_FORMAT_MOD_NVIDIA_BLOCK_LINEAR_2D(0, 1, 2, 0x06, 4),
                  "NVIDIA_BLOCK_LINEAR_2D(0, 1, 2, 0x6, 4)" },
                { DRM_FORMAT_MOD_NVIDIA_BLOCK_LINEAR_2D(7, 0, 3, 0xfe, 5),
                  "NVIDIA_BLOCK_LINEAR_2D(7, 0, 3, 0xfe, 5)" },
                { DRM_FORMAT_MOD_NVIDIA_TEGRA_TILED, "DRM_FORMAT_MOD_NVIDIA_TEGRA_TILED" },
                { DRM_FORMAT_MOD_ARM_AFBC(AFBC_FORMAT_MOD_BLOCK_SIZE_16x16 | AFBC_FORMAT_MOD_YTR |
                                          AFBC_FORMAT_MOD_SPARSE),
                  "ARM_AFBC(16x16, 0x50)" },
                { DRM_FORMAT_MOD_ARM_AFBC(AFBC_FORMAT_MOD_BLOCK_SIZE_32x8), "ARM_AFBC(32x8, 0)" },
                { DRM_FORMAT_MOD_ARM_AFRC(AFRC_FORMAT_MOD_CU_SIZE_P0(AFRC_FORMAT_MOD_CU_SIZE_16)),
                  "ARM_AFRC(0x1)" },
                { DRM_FORMAT_MOD_ARM_16X16_BLOCK_U_INTERLEAVED,
                  "DRM_FORMAT_MOD_ARM_16X16_BLOCK_U_INTERLEAVED" },
                { 0x0800000000000000 | UINT64_C(7) << 52, "Arm modifier 0x870000000000000" },
                { 0x0b00000000000001, "MediaTek modifier 0xb00000000000001" },
                { 0xfe00000000000001, "unknown modifier 0xfe00000000000001" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char name[MODIFIER_NAME_MAX];

                modifier_name(cases[i].modifier, name, sizeof(name));
                assert_string_equal(name, cases[i].name);
        }
}

/* Whatever the number: a text, whole and ended. */
static void test_any_number(void **state _unused_) {
        for (uint64_t vendor = 0; vendor < 256; vendor++)
                for (unsigned bit = 0; bit < 56; bit++)
                        for (unsigned all = 0; all < 2; all++) {
                                char name[MODIFIER_NAME_MAX];

                                memset(name, 'x', sizeof(name));
                                modifier_name(vendor << 56 | (all ? (UINT64_C(2) << bit) - 1
                                                                  : UINT64_C(1) << bit),
                                              name, sizeof(name));
                                size_t size = strnlen(name, sizeof(name));
                                assert_in_range(size, 1, sizeof(name) - 2);
                        }
}

static void test_formats(void **state _unused_) {
        char name[5];

        format_name(DRM_FORMAT_XRGB8888, name);
        assert_string_equal(name, "XR24");
        format_name(0x7f1b0020, name);
        assert_string_equal(name, "????");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_any_number),
                cmocka_unit_test(test_formats),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
