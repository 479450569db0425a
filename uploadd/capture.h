/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Asks capd for a frame of each output of the open recording, once an interval, over frame.sock. */

#include "uploadd.h"
#include "wire.h"

int capture_new(Capture **ret, Uploadd *uploadd);
Capture *capture_free(Capture *capture);

/* A recording has begun: ask at once. When none is open any more it stops by itself. */
void capture_start(Capture *capture);

/* NULL, or what has not happened for longer than it may take, plus patience (µs). */
const char *capture_stuck(const Capture *capture, uint64_t patience);

/* Fills outputs, reason, format, modifier and text. */
void capture_stats(const Capture *capture, struct wire_broker_stats *stats);
