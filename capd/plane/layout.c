/* SPDX-License-Identifier: Apache-2.0 */
#include "plane/layout.h"

#include <drm_fourcc.h>
#include <stdbool.h>
#include <string.h>
#include <xf86drmMode.h>

#include "cleanup.h"

/* Drivers whose buffers have a tiling of their own, set when they are made, beside the modifier.
 *
 * amdgpu: up to GFX8, which know no modifiers; later ones work the modifier out from the tiling
 * (convert_tiling_flags_to_modifier()). radeon: knows none at all. nouveau: none before NV50; from there on,
 * a framebuffer that was added without one is scanned out by its buffer's kind
 * (nouveau_framebuffer_get_layout()), while GETFB2 tells 0 for it, which is linear. */
static const struct {
        const char *driver;
        bool linear_is_none;
} private_tilings[] = {
        { "amdgpu", false },
        { "nouveau", true },
        { "radeon", false },
};

uint64_t layout_modifier(const char *driver, uint32_t type, uint64_t told) {
        /* The hardware of all of them reads pointers from linear memory only. */
        for (size_t i = 0; i < ELEMENTSOF(private_tilings) && type != DRM_PLANE_TYPE_CURSOR; i++)
                if (strcmp(private_tilings[i].driver, driver) == 0)
                        return told == DRM_FORMAT_MOD_LINEAR && private_tilings[i].linear_is_none
                                               ? DRM_FORMAT_MOD_INVALID
                                               : told;
        return told == DRM_FORMAT_MOD_INVALID ? DRM_FORMAT_MOD_LINEAR : told;
}
