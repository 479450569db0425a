/* SPDX-License-Identifier: Apache-2.0 */
#include "wire-socket.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

/* Given up to accept, and drop, a connection while the table of descriptors is full. */
static int wire_spare = -1;

static void strvp(char ***names) {
        for (char **name = *names; name && *name; name++)
                free(*name);
        free(*names);
}

int wire_listen_fd(const char *name, int *ret_fd) {
        _cleanup_(strvp) char **names = NULL;
        int n, found = -1;

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

int wire_accept(int listen_fd, uid_t uid, int *ret_fd, uid_t *ret_uid, pid_t *ret_pid) {
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
        *ret_uid = peer.uid;
        *ret_pid = peer.pid;
        if (peer.uid != uid)
                return -EPERM;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int wire_connect(const char *path, int *ret_fd) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -1;
        struct ucred peer;
        int r;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        r = wire_peer(fd, &peer);
        if (r < 0)
                return r;
        if (peer.uid != 0)
                return -EPERM;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
