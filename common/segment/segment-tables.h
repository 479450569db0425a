/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "segment.h"

/* Checks that data is the header of a baseline JPEG (ITU-T T.81) as JTAB holds it: SOI, APPn/COM/DQT/DHT,
 * one SOF0 (8 bits, 64 px wide, three components 1 × 1), one DRI of a tile, and SOS of all three components
 * at the very end. ret->data points into data. -EBADMSG, with a constant in *ret_why, if it is not. */
int segment_tables_parse(const uint8_t *data, size_t size, SegmentTables *ret, const char **ret_why);

/* Checks that data is the entropy-coded data of n_tiles restart intervals: RST markers between them in their
 * order (RST0 to RST7, cyclic) and no other marker. -EBADMSG if not. */
int segment_scan_check(const uint8_t *data, size_t size, uint32_t n_tiles);
