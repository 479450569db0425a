/* SPDX-License-Identifier: Apache-2.0 */
#include "wire-socket.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "names.h"

/* include/uapi/asm-generic/socket.h of later kernels */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* 6.16 */
#endif

/* Whether this process is in a domain of ours. */
static bool wire_confined;

/* Given up to accept, and drop, a connection while the table of descriptors is full. */
static int wire_spare = -1;

static void strvp(char ***names) {
        for (char **name = *names; name && *name; name++)
                free(*name);
        free(*names);
}

/* The type of an SELinux label, user:role:type:range; false if it is not one. */
static bool wire_label_is(const char *label, const char *type) {
        const char *found = strchr(label, ':');
        size_t length = strlen(type);

        found = found ? strchr(found + 1, ':') : NULL;
        return found && strncmp(found + 1, type, length) == 0 &&
               (found[1 + length] == ':' || found[1 + length] == '\0');
}

int wire_know_domain(void) {
        static const char *const ours[] = { STREAMSIGHT_DOMAIN_CAPD, STREAMSIGHT_DOMAIN_UPLOADD,
                                            STREAMSIGHT_DOMAIN_BROKERD };
        _cleanup_close_ int fd = open("/proc/self/attr/current", O_RDONLY | O_CLOEXEC);
        char label[WIRE_LABEL_SIZE];
        ssize_t n;

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        n = read(fd, label, sizeof(label) - 1);
        if (n < 0)
                return errno == EINVAL ? 0 : -errno; /* no security module that labels processes */
        label[n] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(ours); i++)
                wire_confined = wire_confined || wire_label_is(label, ours[i]);
        return 0;
}

static int wire_check_label(int fd, const char *domain, const char *other, char label[WIRE_LABEL_SIZE]) {
        socklen_t length = WIRE_LABEL_SIZE - 1;

        memset(label, 0, WIRE_LABEL_SIZE);
        if (!wire_confined)
                return 0;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERSEC, label, &length) < 0)
                return -EPERM;
        return wire_label_is(label, domain) || (other && wire_label_is(label, other)) ? 0 : -EPERM;
}

static int wire_refuse_fds(int fd) {
        const int no = 0;

        return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) < 0 && errno != ENOPROTOOPT
                               ? -errno
                               : 0;
}

int wire_peer_pidfd(int fd) {
        socklen_t length = sizeof(int);
        int pidfd;

        return getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0 ? -errno : pidfd;
}

int wire_listen_fd(const char *name, int *ret_fd) {
        _cleanup_(strvp) char **names = NULL;
        int n, r, found = -1;

        n = sd_listen_fds_with_names(false, &names);
        if (n < 0)
                return n;
        for (int i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
                        found = SD_LISTEN_FDS_START + i;
        if (found < 0)
                return -ENOENT;
        if (sd_is_socket_unix(found, SOCK_SEQPACKET, true, NULL, 0) <= 0)
                return -EBADF;

        int flags = fcntl(found, F_GETFL);
        if (flags < 0 || fcntl(found, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        r = wire_refuse_fds(found);
        if (r < 0)
                return r;
        if (wire_spare < 0)
                wire_spare = fcntl(found, F_DUPFD_CLOEXEC, 3);
        *ret_fd = found;
        return 0;
}

int wire_user(const char *name, uid_t *ret_uid) {
        errno = 0;
        const struct passwd *entry = getpwnam(name);
        if (!entry)
                return errno > 0 ? -errno : -ESRCH;
        *ret_uid = entry->pw_uid;
        return 0;
}

static int wire_peer(int fd, struct ucred *ret) {
        socklen_t length = sizeof(*ret);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &length) < 0)
                return -errno;
        return length == sizeof(*ret) ? 0 : -EIO;
}

/* With the table of descriptors full, accept() fails while the connection stays queued: the loop would spin.
 */
static void wire_drop_one(int listen_fd) {
        wire_spare = safe_close(wire_spare);
        safe_close(accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        wire_spare = fcntl(listen_fd, F_DUPFD_CLOEXEC, 3);
}

int wire_accept(int listen_fd, uid_t uid, const char *domain, int *ret_fd, WirePeer *ret_peer) {
        _cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct ucred peer;
        int r;

        if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE)
                        wire_drop_one(listen_fd);
                /* accept(2): what is wrong with one connection is no fault of the listener. */
                return errno == EINTR || errno == ECONNABORTED || errno == EMFILE || errno == ENFILE
                                       ? -EAGAIN
                                       : -errno;
        }
        r = wire_peer(fd, &peer);
        if (r < 0)
                return r;
        *ret_peer = (WirePeer){ .uid = peer.uid, .pid = peer.pid };
        r = wire_check_label(fd, domain, NULL, ret_peer->label);
        if (r < 0 || peer.uid != uid)
                return -EPERM;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int wire_connect(const char *path, const char *domain, bool passes_fds, int *ret_fd) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -1;
        char label[WIRE_LABEL_SIZE];
        struct ucred peer;
        int r;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        r = passes_fds ? 0 : wire_refuse_fds(fd);
        if (r < 0)
                return r;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        r = wire_peer(fd, &peer);
        if (r < 0)
                return r;
        r = wire_check_label(fd, domain, STREAMSIGHT_DOMAIN_INIT, label);
        if (r < 0 || peer.uid != 0)
                return -EPERM;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
