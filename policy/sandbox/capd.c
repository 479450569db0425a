/* SPDX-License-Identifier: Apache-2.0 */

/* capd: CAP_SYS_ADMIN, open cards, two listening sockets. It opens nothing, connects nowhere, and asks of a
 * card what capd-ioctls.h lists. */

#include <cap-ng.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "capd-ioctls.h"
#include "datagram.h"
#include "tables.h"

/* With CAP_SYS_ADMIN the credentials in a message are whatever its sender says (unix(7)), and systemd does
 * what a service says of itself. No message that can have any goes to the journal, by its socket or by
 * stdout and stderr, nor to systemd: sendmsg(2) is for descriptors from 4 to 127 alone, where connections
 * are, and none of the others can be duplicated to there. By bits, since a comparison would look at more of
 * them than the kernel does. */
#define ON_BIT(bit) BITS(0, DATAGRAM_FD | (bit), bit)
#define ALLOW_ON_CONNECTIONS(call, reason)                                                                  \
        ALLOW(call, reason, ON_BIT(4)), ALLOW(call, reason, ON_BIT(8)), ALLOW(call, reason, ON_BIT(16)),    \
                        ALLOW(call, reason, ON_BIT(32)), ALLOW(call, reason, ON_BIT(64))
/* As systemd passes the two. */
#define ALLOW_ON_LISTENING(call, reason, ...)                                                               \
        ALLOW(call, reason, IS(0, SD_LISTEN_FDS_START), __VA_ARGS__),                                       \
                        ALLOW(call, reason, IS(0, SD_LISTEN_FDS_START + 1), __VA_ARGS__)

static const SandboxDescriptor descriptors[] = {
        { "socket:unix-seqpacket-listening", 3, "the two sockets, and a spare of one (wire-socket.c)" },
        { "/dev/dri/card*", 8, "the cards, CARDS_MAX" },
        { "socket:unix-datagram", 2, "the journal, systemd", DATAGRAM_FD },
        { "anon:?eventpoll?", 1, "the event loop" },
        { "anon:?signalfd?", 1, "SIGTERM" },
        { "anon:?timerfd?", 4, "the event loop's clocks" },
        {},
};

static const SandboxCall calls[] = {
        ALLOW(accept4, "the two sockets"),
        ALLOW(getsockopt, "who the peer is", IS(1, SOL_SOCKET)),
        ALLOW_ON_LISTENING(fcntl, "wire-socket.c keeps a spare descriptor", IS(1, F_DUPFD_CLOEXEC)),
        ALLOW_ON_CONNECTIONS(sendmsg, "frames, to whom it has accepted"),
        ALLOW(sendto, "the journal, systemd", NO_FASTOPEN(3), IS_NULL(4)),
        ALLOW(fstat, "a dma-buf's identity"),

        /* What cannot be exported: mapped to be read, written into a memfd that is sealed then. A card or a
         * dma-buf is never mapped to be written. */
        ALLOW(mmap, "a frame, to copy it", IS(2, PROT_READ), IS(3, MAP_SHARED)),
        ALLOW(memfd_create, "the copy", IS(1, MFD_ALLOW_SEALING)),
        ALLOW(pwrite64, "the copy"),
        ALLOW(fcntl, "seals the copy", IS(1, F_ADD_SEALS)),

        ALLOW(write, "stderr, where there is no journal", IS(0, STDERR_FILENO)),

        ALLOW(mmap, "malloc(): memory of its own, never executable", LACKS(2, PROT_EXEC),
              HAS(3, MAP_ANONYMOUS)),
        {},
};

const SandboxPolicy sandbox_capd = {
        .capability = CAP_SYS_ADMIN,
        .n_descriptors = 256,
        .descriptors = descriptors,
        .calls = calls,
        .ioctls = capd_ioctls,
        .n_ioctls = ELEMENTSOF(capd_ioctls),
};
