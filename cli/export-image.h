/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"
#include "export.h"

/* Write the canvas into a file, replacing it. -EIO or the system's error; message said. */
int export_png(const char *path, const SegmentCanvas *canvas);
int export_jpeg(const char *path, const SegmentCanvas *canvas);

/* A JPEG of the canvas, 4:4:4, as near to it as the format allows at a sensible size; replaces what is in
 * buffer. */
int export_jpeg_encode(const SegmentCanvas *canvas, Buffer *buffer);
