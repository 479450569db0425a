/* SPDX-License-Identifier: Apache-2.0 */

/* brokerd: the control plane, the system bus, the resolver, its state directory. It opens what Landlock
 * lets it (brokerd-sandbox.c has the paths), starts threads that resolve names, and nothing else. */

#include <sched.h>
#include <sys/mman.h>

#include "tables.h"

/* pthread_create(3) asks for all of these; whoever shares memory and signals is no other process. */
#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define NAMESPACES                                                                                          \
        (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |       \
         CLONE_NEWNET)

static const SandboxDescriptor descriptors[] = {
        { "socket:unix-seqpacket-listening", 2, "broker.sock, and a spare (wire-socket.c)" },
        { "socket:unix-seqpacket", 1, "to capd" },
        { "socket:unix-datagram", 2, "the journal, systemd" },
        { "socket:unix-stream", 4, "the system bus, twice; libcurl wakes itself up" },
        { "socket:netlink-*", 1, "udev tells of displays" },
        { "anon:?eventpoll?", 1, "the event loop" },
        { "anon:?signalfd?", 1, "SIGTERM" },
        { "anon:?timerfd?", 4, "the event loop's clocks" },
        {},
};

static const SandboxCall calls[] = {
        /* MAP_TYPE is 0xf, and MAP_PRIVATE one of its values. */
        ALLOW(mmap, "malloc(), stacks of threads", LACKS(2, PROT_EXEC), BITS(3, MAP_TYPE, MAP_PRIVATE)),
        ALLOW(mmap, "reads files", LACKS(2, PROT_WRITE | PROT_EXEC)),
        ALLOW(mprotect, "malloc() in threads", LACKS(2, PROT_EXEC)),
        ALLOW(mlock, "OpenSSL keeps the device key out of swap"),
        ALLOW(munlock, "OpenSSL, of the same"),

        /* Only within what Landlock leaves. */
        ALLOW(openat, "its state; the resolver's configuration, which may change"),
        ALLOW(newfstatat, "its state; the resolver's configuration"),
        ALLOW(fstat, "its state"),
        ALLOW(unlinkat, "its state"),
        ALLOW(unlink, "its state"),
        ALLOW(renameat, "its state, replaced as a whole"),
        ALLOW(fsync, "its state"),
        ALLOW(fdatasync, "its state"),
        ALLOW(ftruncate, "its state"),
        ALLOW(pread64, "its state"),
        ALLOW(getdents64, "its state"),
        ALLOW(lseek, "files"),
        ALLOW(readv, "the bus, files"),
        ALLOW(write, "its state, TLS, stderr"),
        ALLOW(writev, "the bus, files"),
        ALLOW(access, "the resolver"),
        ALLOW(readlink, "the resolver"),
        ALLOW(readlinkat, "the resolver"),
        ALLOW(statx, "the resolver"),
        ALLOW(fcntl, "wire-socket.c keeps a spare descriptor", IS(1, F_DUPFD_CLOEXEC)),
        ALLOW_STATUS_FLAGS("sockets that do not block"),

        ALLOW(accept4, "broker.sock"),
        ALLOW(socket, "capd, the resolver", IS(0, AF_UNIX)),
        ALLOW_SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP, "the control plane, DNS"),
        ALLOW_SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP, "the control plane, DNS"),
        ALLOW_SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP, "DNS"),
        ALLOW_SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP, "DNS"),
        REFUSE(socket, EAFNOSUPPORT, "getaddrinfo(3) asks which families are configured, and copes",
               IS(0, AF_NETLINK)),
        ALLOW(socketpair, "libcurl wakes itself up", IS(0, AF_UNIX)),
        ALLOW(connect, "the control plane, DNS, capd"),
        ALLOW(sendto, "TLS, the bus, the journal, systemd", NO_FASTOPEN(3), IS_NULL(4)),
        ALLOW(sendmsg, "the sockets, the bus", NO_FASTOPEN(2)),
        ALLOW(sendmmsg, "DNS", NO_FASTOPEN(3)),
        ALLOW(recvfrom, "TLS, DNS"),
        ALLOW(getsockopt, "who the peer is; whether it is connected"),
        ALLOW_OPTION(IPPROTO_TCP, TCP_NODELAY, "libcurl"),
        ALLOW_OPTION(SOL_SOCKET, SO_KEEPALIVE, "libcurl"),
        ALLOW_OPTION(IPPROTO_TCP, TCP_KEEPIDLE, "libcurl"),
        ALLOW_OPTION(IPPROTO_TCP, TCP_KEEPINTVL, "libcurl"),
        ALLOW_OPTION(IPPROTO_IP, IP_RECVERR, "DNS hears that nobody is there"),
        ALLOW_OPTION(IPPROTO_IPV6, IPV6_RECVERR, "DNS hears that nobody is there"),
        ALLOW_OPTION(SOL_SOCKET, 83, "SO_PASSRIGHTS: no descriptors, as capd sends none"),
        ALLOW(getsockname, "libcurl"),
        ALLOW(getpeername, "libcurl"),
        ALLOW(shutdown, "OpenSSL"),
        ALLOW(poll, "the resolver, libcurl"),
        ALLOW(ppoll, "the bus"),
        ALLOW(getuid, "the bus: whether a caller has its own id"),
        ALLOW(geteuid, "what resolves names"),
        REFUSE(ioctl, ENOTTY, "stdio asks whether it has a terminal, DNS how much there is to read"),
        ALLOW(pipe2, "libcurl wakes itself up"),
        ALLOW(eventfd2, "a thread tells the loop that a name is resolved"),
        ALLOW(epoll_create1, "the event loop, for a clock that it did not yet need"),
        ALLOW(timerfd_create, "the event loop, for a clock that it did not yet need"),

        REFUSE(clone3, ENOSYS, "its flags lie in memory: pthread_create(3) falls back on clone"),
        ALLOW(clone, "threads that resolve names", BITS(0, THREAD | NAMESPACES, THREAD)),
        ALLOW(set_robust_list, "threads"),
        ALLOW(rseq, "threads"),
        ALLOW(sched_getaffinity, "malloc() in threads"),
        ALLOW(uname, "the resolver: the machine's name"),
        ALLOW(sysinfo, "qsort(3) asks how much memory there is"),
        ALLOW(gettimeofday, "where the vDSO cannot"),
        ALLOW(time, "where the vDSO cannot"),
        {},
};

const SandboxPolicy sandbox_brokerd = {
        .capability = -1,
        .n_descriptors = 1024,
        .descriptors = descriptors,
        .calls = calls,
};
