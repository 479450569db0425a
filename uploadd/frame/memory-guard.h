/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading memory that may go away under one's hands: of a card that was unplugged, a buffer that was
 * evicted, a file that was cut. The kernel sends SIGBUS then; here it becomes an error. For one thread. */

#include <stddef.h>

typedef struct GuardedMemory {
        const void *start;
        size_t size;
} GuardedMemory;

/* Catches SIGBUS from now on. One that comes outside memory_guarded(), or for other memory, kills the
 * process as ever. Negative errno. */
int memory_guard_init(void);

/* Calls read, which must hold nothing that a sudden return would leak, and gives 0; -EFAULT: one of the
 * memories could not be read, and read was left at that point. They are the caller's until the return. */
int memory_guarded(const GuardedMemory *memories, size_t n, void (*read)(void *userdata), void *userdata);
