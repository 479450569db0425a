/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "export.h"

/* MJPEG in Matroska with the times of capture. Its pictures are all of one size: when the size changes, the
 * video goes on in a second file, …-2.mkv, whose times begin at 0 again. */
typedef struct ExportVideo ExportVideo;

/* Makes the file when the first picture comes. path ends with a suffix of four characters and must outlive
 * it. */
int export_video_new(ExportVideo **ret, const char *path);

/* What is shown from time (µs since the epoch) on; times do not decrease. Message said on failure. */
int export_video_show(ExportVideo *video, const SegmentCanvas *canvas, uint64_t time);

/* Finishes the file: its last picture is shown until time. */
int export_video_finish(ExportVideo *video, uint64_t time);

ExportVideo *export_video_free(ExportVideo *video);
DEFINE_CLEANUP(ExportVideo *, export_video_freep, export_video_free)
