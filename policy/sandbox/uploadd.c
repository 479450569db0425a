/* SPDX-License-Identifier: Apache-2.0 */

/* uploadd: pixels that it is given, finished segments in memory, TCP to the pinned ports. It opens nothing,
 * starts nothing, and maps what it is given to read it. */

#include <linux/dma-buf.h>
#include <sys/mman.h>

#include "tables.h"

static const SandboxDescriptor descriptors[] = {
        { "socket:unix-seqpacket", 2, "to capd and to brokerd, where they listen already" },
        { "socket:unix-datagram", 2, "the journal, systemd" },
        { "socket:unix-stream", 2, "libcurl wakes itself up" },
        { "anon:?eventpoll?", 1, "the event loop" },
        { "anon:?signalfd?", 1, "SIGTERM" },
        { "anon:?timerfd?", 4, "the event loop's clocks" },
        {},
};

static const SandboxIoctl ioctls[] = {
        { DMA_BUF_IOCTL_SYNC, "DMA_BUF_IOCTL_SYNC", "brackets the reading of a frame" },
};

static const SandboxCall calls[] = {
        /* MAP_TYPE is 0xf, and MAP_PRIVATE one of its values. */
        ALLOW(mmap, "reads frames", LACKS(2, PROT_WRITE | PROT_EXEC)),
        ALLOW(mmap, "malloc(): memory of its own", LACKS(2, PROT_EXEC), BITS(3, MAP_TYPE, MAP_PRIVATE)),
        /* Making shared memory writable later would be the same as mapping it so. */
        ALLOW(mprotect, "takes rights away", LACKS(2, PROT_WRITE | PROT_EXEC)),

        ALLOW(madvise, "free()", IS(2, MADV_DONTNEED)),
        ALLOW(madvise, "pictures", IS(2, MADV_HUGEPAGE)),
        ALLOW(memfd_create, "finished segments"),
        ALLOW(readv, "finished segments"),
        ALLOW(write, "finished segments, TLS, stderr"),
        ALLOW(writev, "finished segments"),
        ALLOW(lseek, "finished segments"),
        ALLOW(fcntl, "seals finished segments", IS(1, F_ADD_SEALS)),
        ALLOW(fcntl, "whether memory that it is given can shrink", IS(1, F_GET_SEALS)),
        ALLOW_STATUS_FLAGS("sockets that do not block"),

        ALLOW(socket, "capd, brokerd", IS(0, AF_UNIX), SOCKET_TYPE(SOCK_SEQPACKET), IS(2, 0)),
        ALLOW_SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP, "the bucket"),
        ALLOW_SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP, "the bucket"),
        ALLOW(socketpair, "libcurl wakes itself up", IS(0, AF_UNIX), SOCKET_TYPE(SOCK_STREAM)),
        ALLOW(connect, "capd, brokerd, the bucket"),
        ALLOW(sendto, "TLS, the journal, systemd", NO_FASTOPEN(3), IS_NULL(4)),
        ALLOW(sendmsg, "the sockets", NO_FASTOPEN(2)),
        ALLOW(recvfrom, "TLS"),
        ALLOW(getsockopt, "who the peer is; whether it is connected"),
        ALLOW_OPTION(IPPROTO_TCP, TCP_NODELAY, "libcurl"),
        ALLOW_OPTION(SOL_SOCKET, SO_KEEPALIVE, "libcurl"),
        ALLOW_OPTION(IPPROTO_TCP, TCP_KEEPIDLE, "libcurl"),
        ALLOW_OPTION(IPPROTO_TCP, TCP_KEEPINTVL, "libcurl"),
        ALLOW_OPTION(SOL_SOCKET, 83, "SO_PASSRIGHTS: no descriptors, as brokerd sends none"),
        ALLOW(getsockname, "libcurl"),
        ALLOW(getpeername, "libcurl"),
        ALLOW(shutdown, "OpenSSL"),
        ALLOW(poll, "dma-bufs, libcurl"),
        ALLOW(ppoll, "dma-bufs, libcurl"),
        ALLOW(pipe2, "libcurl wakes itself up"),
        ALLOW(eventfd2, "libcurl wakes itself up"),
        ALLOW(epoll_create1, "the event loop, for a clock that it did not yet need"),
        ALLOW(timerfd_create, "the event loop, for a clock that it did not yet need"),

        ALLOW(fstat, "the size of what it was given"),
        ALLOW(gettimeofday, "OpenSSL, where the vDSO cannot"),
        ALLOW(time, "OpenSSL, where the vDSO cannot"),
        ALLOW(sysinfo, "qsort(3) asks how much memory there is"),
        {},
};

const SandboxPolicy sandbox_uploadd = {
        .capability = -1,
        .n_descriptors = 512,
        .descriptors = descriptors,
        .calls = calls,
        .ioctls = ioctls,
        .n_ioctls = ELEMENTSOF(ioctls),
};
