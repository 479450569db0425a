/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How a framebuffer's pixels are laid out in memory, where the driver does not say or says it wrongly. */

#include <stdint.h>

/* The modifier to believe on a plane of this type (DRM_PLANE_TYPE_*), where GETFB2 told this one, or none:
 * DRM_FORMAT_MOD_INVALID. Most drivers that tell none mean linear. Some tile in private, which is agreed
 * upon with Mesa past KMS: of these it is DRM_FORMAT_MOD_INVALID, not known. */
uint64_t layout_modifier(const char *driver, uint32_t type, uint64_t told);
