/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "encoder.h"
#include "segment-writer.h"

/* A small segment that is the same at every run: an output of 80 × 10 pixels (2 × 2 tiles), a keyframe, a
 * change in one tile, a gap, and its end by a frame without change. It is the example of
 * docs/segment-format.md. */
void segment_sample(SegmentWriter *writer);

#define SAMPLE_CHUNKS 8U /* HEAD, JTAB, OUTP, FRAM, FRAM, GAP_, FRAM, INDX */
