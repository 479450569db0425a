/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What each process may still do once it has started: capd.c, uploadd.c and brokerd.c, one table each, and
 * common.c, which is part of all three. The promises that follow from them are in promises.h. */

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "sandbox.h"

/* Landlock's ports bind connect(2) of TCP alone, so that whoever has ports makes no other socket than these:
 * MPTCP, SCTP, ping, raw and, but for a resolver, UDP go anywhere. One call for each way to write them. */
#define SOCKET_TYPE(type) BITS(1, ~(SOCK_CLOEXEC | SOCK_NONBLOCK), type)
#define ALLOW_SOCKET(family, type, protocol, reason)                                                        \
        ALLOW(socket, reason, IS(0, family), SOCKET_TYPE(type), IS(2, 0)),                                  \
                        ALLOW(socket, reason, IS(0, family), SOCKET_TYPE(type), IS(2, protocol))
/* Neither does it know of sendto(2) and its kin with MSG_FASTOPEN, which connect. */
#define NO_FASTOPEN(n) LACKS(n, MSG_FASTOPEN)

/* Of fcntl(2) with F_SETFL. O_ASYNC sends signals, to whom F_SETOWN says. */
#define ALLOW_STATUS_FLAGS(reason)                                                                          \
        ALLOW(fcntl, reason, IS(1, F_GETFL)), ALLOW(fcntl, reason, IS(1, F_SETFL), LACKS(2, O_ASYNC))
#define ALLOW_OPTION(level, option, reason) ALLOW(setsockopt, reason, IS(1, level), IS(2, option))

extern const SandboxPolicy sandbox_capd, sandbox_uploadd, sandbox_brokerd;

extern const SandboxCall sandbox_common_calls[];
