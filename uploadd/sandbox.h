/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What uploadd may do from here on, whatever code runs in it. A forbidden system call kills the process.
 *
 *   1. It opens no path, and asks for nothing of any.
 *   2. It executes nothing, starts no process or thread, and traces none.
 *   3. It makes no memory executable, and no memory writable that is shared: a dma-buf is for reading.
 *   4. It speaks Unix and Internet sockets, and listens on none.
 *   5. Its only ioctl is DMA_BUF_IOCTL_SYNC.
 *   6. It leaves no core and cannot be looked into by its own user.
 */

/* Limits that need no filter: no new privileges, not dumpable, no core. Call first. */
int sandbox_prepare(void);

/* Loads the filter. Call when everything that is needed is open. */
int sandbox_enter(void);
