/* SPDX-License-Identifier: Apache-2.0 */

/* capd: CAP_SYS_ADMIN, open cards, two listening sockets. It opens nothing, connects nowhere, and asks of a
 * card what capd-ioctls.h lists. */

#include <cap-ng.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "capd-ioctls.h"
#include "tables.h"

static const SandboxDescriptor descriptors[] = {
        { "socket:unix-seqpacket-listening", 3, "the two sockets, and a spare of one (wire-socket.c)" },
        { "/dev/dri/card*", 8, "the cards, CARDS_MAX" },
        { "socket:unix-datagram", 1, "the journal" },
        { "anon:?eventpoll?", 1, "the event loop" },
        { "anon:?signalfd?", 1, "SIGTERM" },
        { "anon:?timerfd?", 4, "the event loop's clocks" },
        {},
};

static const SandboxCall calls[] = {
        ALLOW(accept4, "the two sockets"),
        ALLOW(getsockopt, "who the peer is", IS(1, SOL_SOCKET)),
        ALLOW(fcntl, "wire-socket.c keeps a spare descriptor", IS(1, F_DUPFD_CLOEXEC)),
        ALLOW(fstat, "a dma-buf's identity"),

        /* What cannot be exported: mapped to be read, written into a memfd that is sealed then. A card or a
         * dma-buf is never mapped to be written. */
        ALLOW(mmap, "a frame, to copy it", IS(2, PROT_READ), IS(3, MAP_SHARED)),
        ALLOW(memfd_create, "the copy", IS(1, MFD_ALLOW_SEALING)),
        REFUSE(memfd_create, EPERM, "sd_journal_sendv(3) when the journal's socket is full",
               HAS(1, MFD_CLOEXEC)),
        ALLOW(pwrite64, "the copy"),
        ALLOW(fcntl, "seals the copy", IS(1, F_ADD_SEALS)),

        ALLOW(write, "stderr, where there is no journal", IS(0, STDERR_FILENO)),
        ALLOW(socket, "sd_notify(3) makes one for each message", IS(0, AF_UNIX),
              IS(1, SOCK_DGRAM | SOCK_CLOEXEC), IS(2, 0)),
        ALLOW(setsockopt, "sd_notify(3)", IS(1, SOL_SOCKET), IS(2, SO_SNDBUF)),
        ALLOW(setsockopt, "sd_notify(3)", IS(1, SOL_SOCKET), IS(2, SO_SNDBUFFORCE)),

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
