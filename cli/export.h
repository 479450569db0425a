/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* streamsight-export: segments to pictures and video. Messages for the person at the terminal go to stderr.
 *
 *   export.c         the command
 *   export-play.h    reads segments in a row, and shows what an output showed
 *   export-image.h   a picture as PNG or JPEG
 *   export-video.h   pictures as MJPEG in Matroska
 */

#include "segment-canvas.h"

#include "cleanup.h"

/* Prints a line that begins with the program's name, below a progress bar if one is shown. */
void export_message(const char *format, ...) _printf_(1, 2);
