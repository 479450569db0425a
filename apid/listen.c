/* SPDX-License-Identifier: Apache-2.0 */

#include "listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "value.h"

static int listen_unix(const char *path, int *ret_fd) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path))
                return -EINVAL;
        strcpy(address.sun_path, path);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        /* On Linux the socket file gets the descriptor's mode: it is never open to others, not for a moment.
         */
        if (fchmod(fd, 0660) < 0)
                return -errno;
        struct stat st;
        if (lstat(path, &st) >= 0 && S_ISSOCK(st.st_mode) && unlink(path) < 0)
                return -errno;
        mode_t mask = umask(0);
        int r = bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
        umask(mask);
        if (r < 0)
                return r;
        if (listen(fd, SOMAXCONN) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* "host:port" with host in brackets if it is IPv6. */
static int parse_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_size) {
        struct sockaddr_in *v4 = (struct sockaddr_in *) ret;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) ret;
        char host[INET6_ADDRSTRLEN + 2];
        uint64_t port;

        const char *colon = strrchr(text, ':');
        if (!colon || (size_t) (colon - text) >= sizeof(host) ||
            value_parse_uint(colon + 1, 65535, &port) < 0 || port == 0)
                return -EINVAL;
        memcpy(host, text, (size_t) (colon - text));
        host[colon - text] = '\0';
        *ret = (struct sockaddr_storage){};

        size_t length = strlen(host);
        if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
                host[length - 1] = '\0';
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons((uint16_t) port);
                *ret_size = sizeof(*v6);
                if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) != 1)
                        return -EINVAL;
                return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ? 0 : -EPERM;
        }
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t) port);
        *ret_size = sizeof(*v4);
        if (inet_pton(AF_INET, host, &v4->sin_addr) != 1)
                return -EINVAL;
        return ntohl(v4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET ? 0 : -EPERM;
}

int listen_open(const char *address, int *ret_fd) {
        struct sockaddr_storage storage;
        socklen_t size;
        int r;

        if (strncmp(address, "unix:", 5) == 0)
                return listen_unix(address + 5, ret_fd);
        r = parse_address(address, &storage, &size);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
            bind(fd, (struct sockaddr *) &storage, size) < 0 || listen(fd, SOMAXCONN) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
