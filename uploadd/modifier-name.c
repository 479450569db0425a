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

/* Those without parameters. */
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
        { DRM_FORMAT_MOD_QCOM_COMPRESSED, "DRM_FORMAT_MOD_QCOM_COMPRESSED" },
        { DRM_FORMAT_MOD_VIVANTE_TILED, "DRM_FORMAT_MOD_VIVANTE_TILED" },
        { DRM_FORMAT_MOD_VIVANTE_SUPER_TILED, "DRM_FORMAT_MOD_VIVANTE_SUPER_TILED" },
        { DRM_FORMAT_MOD_NVIDIA_TEGRA_TILED, "DRM_FORMAT_MOD_NVIDIA_TEGRA_TILED" },
        { DRM_FORMAT_MOD_BROADCOM_VC4_T_TILED, "DRM_FORMAT_MOD_BROADCOM_VC4_T_TILED" },
        { DRM_FORMAT_MOD_BROADCOM_UIF, "DRM_FORMAT_MOD_BROADCOM_UIF" },
        { DRM_FORMAT_MOD_ALLWINNER_TILED, "DRM_FORMAT_MOD_ALLWINNER_TILED" },
};

static const char *const vendors[] = {
        [DRM_FORMAT_MOD_VENDOR_INTEL] = "Intel",         [DRM_FORMAT_MOD_VENDOR_AMD] = "AMD",
        [DRM_FORMAT_MOD_VENDOR_NVIDIA] = "NVIDIA",       [DRM_FORMAT_MOD_VENDOR_SAMSUNG] = "Samsung",
        [DRM_FORMAT_MOD_VENDOR_QCOM] = "Qualcomm",       [DRM_FORMAT_MOD_VENDOR_VIVANTE] = "Vivante",
        [DRM_FORMAT_MOD_VENDOR_BROADCOM] = "Broadcom",   [DRM_FORMAT_MOD_VENDOR_ARM] = "Arm",
        [DRM_FORMAT_MOD_VENDOR_ALLWINNER] = "Allwinner", [DRM_FORMAT_MOD_VENDOR_AMLOGIC] = "Amlogic",
};

void modifier_name(uint64_t modifier, char *name, size_t size) {
        uint64_t vendor = modifier >> 56;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (names[i].modifier == modifier) {
                        snprintf(name, size, "%s", names[i].name);
                        return;
                }
        snprintf(name, size, "%s modifier %#" PRIx64,
                 vendor < ELEMENTSOF(vendors) && vendors[vendor] ? vendors[vendor] : "unknown", modifier);
}
