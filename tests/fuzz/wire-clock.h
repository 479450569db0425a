/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Time for the daemons under test: between begin and end it stands still but for what passes by the driver's
 * word, so that no run sleeps and each input does the same every time. It takes the place of the C library's
 * clock_gettime(), for sd-event as well; CLOCK_REALTIME, which no timer here is set by, stays libFuzzer's,
 * but for somebody who sets it back. */

#include <stdint.h>

void wire_clock_begin(void);
void wire_clock_pass(uint64_t milliseconds);
void wire_clock_set_back(uint32_t seconds);
void wire_clock_end(void);
