/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* QR codes (ISO/IEC 18004), for a page and for a terminal. */

#include "cleanup.h"

/* An SVG image, or lines of half blocks in UTF-8, dark on light. The caller's; it holds what text says, so
 * wipe it if that is secret. -ENOMEM; -EINVAL: text is too long. */
int qr_svg(const char *text, char **ret) _must_check_;
int qr_terminal(const char *text, char **ret) _must_check_;
