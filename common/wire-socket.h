/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Making and checking the sockets below a WireConnection. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "cleanup.h"

#define WIRE_LABEL_SIZE 256U

/* Finds the one listening SOCK_SEQPACKET socket that systemd passed under this FileDescriptorName=
 * (sd_listen_fds(3)). -ENOENT: none by that name; -EBADF: it is not such a socket. The descriptor is the
 * caller's, close-on-exec and non-blocking. Its connections take no descriptors (SO_PASSRIGHTS, where the
 * kernel has it): nobody sends any to the listener. */
int wire_listen_fd(const char *name, int *ret_fd);

/* Looks whether this process runs in one of our SELinux domains: from then on peers must be in theirs. Reads
 * /proc: call before a sandbox. */
int wire_know_domain(void);

/* The uid of a system user, for peer checks; -ESRCH if there is none. Reads /etc/passwd: call before a
 * sandbox. */
int wire_user(const char *name, uid_t *ret_uid);

/* Who a connection is from, for the journal. */
typedef struct WirePeer {
        uid_t uid;
        pid_t pid;
        char label[WIRE_LABEL_SIZE]; /* SELinux's; "" where it does not matter */
} WirePeer;

/* Accepts one connection and checks by SO_PEERCRED that the peer runs as uid, and by SO_PEERSEC that it is
 * in domain, if this process is in one of ours. -EPERM with *ret_peer set: it is not, and the connection was
 * closed. -EAGAIN: nothing to accept, or out of descriptors (the connection was dropped, not the daemon). */
int wire_accept(int listen_fd, uid_t uid, const char *domain, int *ret_fd, WirePeer *ret_peer);

/* A descriptor of the process that fd was connected by, readable once that has ended (pidfd_open(2)).
 * -ENOPROTOOPT: the kernel has no SO_PEERPIDFD. */
int wire_peer_pidfd(int fd);

/* Connects to the socket at path; with passes_fds the other end may send descriptors. SO_PEERCRED of the
 * result shows who called listen(), which is systemd, and SO_PEERSEC how it labelled the socket: for domain,
 * which will serve it, or as itself. A listener that is not root's, or in another domain, is refused with
 * -EPERM. */
int wire_connect(const char *path, const char *domain, bool passes_fds, int *ret_fd);
