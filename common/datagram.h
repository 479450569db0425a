/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Connected Unix datagram sockets, to the journal and to systemd, that are there from a process's beginning
 * to its end. What is sent on them is plain bytes, so that no sandbox need allow socket(2) or sendmsg(2) for
 * them: with CAP_SYS_ADMIN, whoever may send credentials in a message (unix(7)) speaks to systemd in any
 * process's name. */

#include <stddef.h>

/* They are moved up to here, where a filter of system calls can tell them from every other descriptor. */
#define DATAGRAM_FD 128U

/* Connects to a path, or to an abstract name that begins with '@'. Returns a descriptor, at least
 * DATAGRAM_FD where the process may have as many; or a negative errno. */
int datagram_connect(const char *address) __attribute__((warn_unused_result));

/* Sends one datagram, waiting for room. 0 or a negative errno. */
int datagram_send(int fd, const void *bytes, size_t size);
