/* SPDX-License-Identifier: Apache-2.0 */
#include "modifier-name.h"

#include <inttypes.h>
#include <stdio.h>

#include <drm_fourcc.h>

#include "cleanup.h"

void format_name(uint32_t format, char name[static 5]) {
        for (int i = 0; i < 4; i++) {
                uint8_t c = (uint8_t) (format >> 8 * i);
                name[i] = c > ' ' && c < 0x7f ? (char) c : '?';
        }
        name[4] = '\0';
}

/* Those without parameters. By number, what Debian 12's drm_fourcc.h does not have yet. */
static const struct {
        uint64_t modifier;
        const char *name;
} names[] = {
        { DRM_FORMAT_MOD_INVALID, "no modifier" },
        { DRM_FORMAT_MOD_LINEAR, "DRM_FORMAT_MOD_LINEAR" },
        { I915_FORMAT_MOD_X_TILED, "I915_FORMAT_MOD_X_TILED" },
        { I915_FORMAT_MOD_Y_TILED, "I915_FORMAT_MOD_Y_TILED" },
        { I915_FORMAT_MOD_Yf_TILED, "I915_FORMAT_MOD_Yf_TILED" },
        { I915_FORMAT_MOD_Y_TILED_CCS, "I915_FORMAT_MOD_Y_TILED_CCS" },
        { I915_FORMAT_MOD_Yf_TILED_CCS, "I915_FORMAT_MOD_Yf_TILED_CCS" },
        { I915_FORMAT_MOD_Y_TILED_GEN12_RC_CCS, "I915_FORMAT_MOD_Y_TILED_GEN12_RC_CCS" },
        { I915_FORMAT_MOD_Y_TILED_GEN12_MC_CCS, "I915_FORMAT_MOD_Y_TILED_GEN12_MC_CCS" },
        { I915_FORMAT_MOD_Y_TILED_GEN12_RC_CCS_CC, "I915_FORMAT_MOD_Y_TILED_GEN12_RC_CCS_CC" },
        { I915_FORMAT_MOD_4_TILED, "I915_FORMAT_MOD_4_TILED" },
        { I915_FORMAT_MOD_4_TILED_DG2_RC_CCS, "I915_FORMAT_MOD_4_TILED_DG2_RC_CCS" },
        { I915_FORMAT_MOD_4_TILED_DG2_MC_CCS, "I915_FORMAT_MOD_4_TILED_DG2_MC_CCS" },
        { I915_FORMAT_MOD_4_TILED_DG2_RC_CCS_CC, "I915_FORMAT_MOD_4_TILED_DG2_RC_CCS_CC" },
        { fourcc_mod_code(INTEL, 13), "I915_FORMAT_MOD_4_TILED_MTL_RC_CCS" },
        { fourcc_mod_code(INTEL, 14), "I915_FORMAT_MOD_4_TILED_MTL_MC_CCS" },
        { fourcc_mod_code(INTEL, 15), "I915_FORMAT_MOD_4_TILED_MTL_RC_CCS_CC" },
        { fourcc_mod_code(INTEL, 16), "I915_FORMAT_MOD_4_TILED_LNL_CCS" },
        { fourcc_mod_code(INTEL, 17), "I915_FORMAT_MOD_4_TILED_BMG_CCS" },
        { DRM_FORMAT_MOD_ARM_16X16_BLOCK_U_INTERLEAVED, "DRM_FORMAT_MOD_ARM_16X16_BLOCK_U_INTERLEAVED" },
        { DRM_FORMAT_MOD_SAMSUNG_64_32_TILE, "DRM_FORMAT_MOD_SAMSUNG_64_32_TILE" },
        { DRM_FORMAT_MOD_SAMSUNG_16_16_TILE, "DRM_FORMAT_MOD_SAMSUNG_16_16_TILE" },
        { DRM_FORMAT_MOD_QCOM_COMPRESSED, "DRM_FORMAT_MOD_QCOM_COMPRESSED" },
        { DRM_FORMAT_MOD_VIVANTE_TILED, "DRM_FORMAT_MOD_VIVANTE_TILED" },
        { DRM_FORMAT_MOD_VIVANTE_SUPER_TILED, "DRM_FORMAT_MOD_VIVANTE_SUPER_TILED" },
        { DRM_FORMAT_MOD_NVIDIA_TEGRA_TILED, "DRM_FORMAT_MOD_NVIDIA_TEGRA_TILED" },
        { DRM_FORMAT_MOD_BROADCOM_VC4_T_TILED, "DRM_FORMAT_MOD_BROADCOM_VC4_T_TILED" },
        { DRM_FORMAT_MOD_BROADCOM_UIF, "DRM_FORMAT_MOD_BROADCOM_UIF" },
        { DRM_FORMAT_MOD_ALLWINNER_TILED, "DRM_FORMAT_MOD_ALLWINNER_TILED" },
};

static const char *const vendors[] = {
        [DRM_FORMAT_MOD_VENDOR_INTEL] = "Intel",
        [DRM_FORMAT_MOD_VENDOR_AMD] = "AMD",
        [DRM_FORMAT_MOD_VENDOR_NVIDIA] = "NVIDIA",
        [DRM_FORMAT_MOD_VENDOR_SAMSUNG] = "Samsung",
        [DRM_FORMAT_MOD_VENDOR_QCOM] = "Qualcomm",
        [DRM_FORMAT_MOD_VENDOR_VIVANTE] = "Vivante",
        [DRM_FORMAT_MOD_VENDOR_BROADCOM] = "Broadcom",
        [DRM_FORMAT_MOD_VENDOR_ARM] = "Arm",
        [DRM_FORMAT_MOD_VENDOR_ALLWINNER] = "Allwinner",
        [DRM_FORMAT_MOD_VENDOR_AMLOGIC] = "Amlogic",
        [0x0b] = "MediaTek",
        [0x0c] = "Apple",
};

static uint64_t field(uint64_t modifier, unsigned shift, unsigned n_bits) {
        return modifier >> shift & ((UINT64_C(1) << n_bits) - 1);
}

#define TEXT(texts, i, otherwise) ((i) < ELEMENTSOF(texts) && (texts)[i] ? (texts)[i] : (otherwise))

/* AMD_FMT_MOD_*: which hardware, its swizzle mode, and whether it is compressed. */
static void amd_name(uint64_t modifier, char *name, size_t size) {
        static const char *const versions[] = { NULL, "GFX9", "GFX10", "GFX10_RBPLUS", "GFX11", "GFX12" };
        static const char *const tiles[32] = { [9] = "64K_S",    [10] = "64K_D",   [25] = "64K_S_X",
                                               [26] = "64K_D_X", [27] = "64K_R_X", [31] = "256K_R_X" };
        static const char *const tiles_12[32] = { "LINEAR", "256B_2D", "4K_2D", "64K_2D", "256K_2D" };
        uint64_t version = field(modifier, AMD_FMT_MOD_TILE_VERSION_SHIFT, 8);
        uint64_t tile = field(modifier, AMD_FMT_MOD_TILE_SHIFT, 5);

        snprintf(name, size, "AMD_FMT_MOD(%s, %s%s)", TEXT(versions, version, "?"),
                 version >= 5 ? TEXT(tiles_12, tile, "?") : TEXT(tiles, tile, "?"),
                 field(modifier, AMD_FMT_MOD_DCC_SHIFT, 1) ? ", DCC" : "");
}

/* DRM_FORMAT_MOD_NVIDIA_BLOCK_LINEAR_2D(), with its arguments. */
static void nvidia_name(uint64_t modifier, char *name, size_t size) {
        snprintf(name, size, "NVIDIA_BLOCK_LINEAR_2D(%u, %u, %u, %#x, %u)",
                 (unsigned) field(modifier, 23, 3), (unsigned) field(modifier, 22, 1),
                 (unsigned) field(modifier, 20, 2), (unsigned) field(modifier, 12, 8),
                 (unsigned) field(modifier, 0, 4));
}

/* DRM_FORMAT_MOD_ARM_AFBC() and _AFRC(), compressed. */
static void arm_name(uint64_t modifier, char *name, size_t size) {
        static const char *const blocks[] = { NULL, "16x16", "32x8", "64x4", "32x8_64x4" };

        if (field(modifier, 52, 4) == DRM_FORMAT_MOD_ARM_TYPE_AFBC)
                snprintf(name, size, "ARM_AFBC(%s, %#" PRIx64 ")", TEXT(blocks, field(modifier, 0, 4), "?"),
                         field(modifier, 4, 48) << 4);
        else
                snprintf(name, size, "ARM_AFRC(%#" PRIx64 ")", field(modifier, 0, 52));
}

void modifier_name(uint64_t modifier, char *name, size_t size) {
        uint64_t vendor = modifier >> 56, arm_type = field(modifier, 52, 4);

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (names[i].modifier == modifier) {
                        snprintf(name, size, "%s", names[i].name);
                        return;
                }
        if (vendor == DRM_FORMAT_MOD_VENDOR_AMD)
                amd_name(modifier, name, size);
        else if (vendor == DRM_FORMAT_MOD_VENDOR_NVIDIA && modifier & 0x10)
                nvidia_name(modifier, name, size);
        else if (vendor == DRM_FORMAT_MOD_VENDOR_ARM &&
                 (arm_type == DRM_FORMAT_MOD_ARM_TYPE_AFBC || arm_type == DRM_FORMAT_MOD_ARM_TYPE_AFRC))
                arm_name(modifier, name, size);
        else
                snprintf(name, size, "%s modifier %#" PRIx64, TEXT(vendors, vendor, "unknown"), modifier);
}
