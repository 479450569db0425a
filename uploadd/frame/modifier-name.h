/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What to call a pixel format and a modifier towards a person. libdrm's drmGetFormatModifierName()
 * allocates, and uploadd does not link libdrm. */

#include <stddef.h>
#include <stdint.h>

/* The fourcc, "?" for bytes that do not print. */
void format_name(uint32_t format, char name[static 5]);

/* "I915_FORMAT_MOD_Y_TILED_CCS", "AMD_FMT_MOD(GFX10_RBPLUS, 64K_R_X)" with what matters of its parameters,
 * or the vendor and the number: "Vivante modifier 0x600000000000077". */
void modifier_name(uint64_t modifier, char *name, size_t size);

#define MODIFIER_NAME_MAX 64U
