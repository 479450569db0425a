/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Changes one thing in a JSON text that leaves it JSON, mostly: a value of another type, at a bound, with
 * characters that no person should be shown; a member that is missing, one more, or another's. rand() says
 * what. */

#include <stddef.h>
#include <stdint.h>

/* text is size bytes, within max_size; returns how many there are now. */
size_t json_mutate(uint8_t *text, size_t size, size_t max_size);
