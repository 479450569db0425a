/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Making and checking the sockets below a WireConnection. */

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "cleanup.h"

/* Finds the one listening SOCK_SEQPACKET socket that systemd passed under this FileDescriptorName=
 * (sd_listen_fds(3)). -ENOENT: none by that name; -EBADF: it is not such a socket. The descriptor is the
 * caller's, close-on-exec and non-blocking. */
int wire_listen_fd(const char *name, int *ret_fd);

/* The uid of a system user, for peer checks; -ESRCH if there is none. Reads /etc/passwd: call before a
 * sandbox. */
int wire_user(const char *name, uid_t *ret_uid);

/* Accepts one connection and checks by SO_PEERCRED that the peer runs as uid. -EPERM with *ret_uid and
 * *ret_pid set: it does not, and the connection was closed. -EAGAIN: nothing to accept, or out of
 * descriptors (the connection was dropped, not the daemon). */
int wire_accept(int listen_fd, uid_t uid, int *ret_fd, uid_t *ret_uid, pid_t *ret_pid);

/* Connects to the socket at path. SO_PEERCRED of the result shows who called listen(), which is systemd; a
 * listener that is not root's is refused with -EPERM. */
int wire_connect(const char *path, int *ret_fd);
