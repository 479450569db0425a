/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether the threads get on: each says when it begins something that ends by itself, and when it has ended.
 */

#include <stdbool.h>

void progress_begin(void);
void progress_end(void);

/* Somebody has been at one thing for longer than that. */
bool progress_is_stuck(long long milliseconds);
