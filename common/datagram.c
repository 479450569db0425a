/* SPDX-License-Identifier: Apache-2.0 */

#include "datagram.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cleanup.h"

int datagram_connect(const char *address) {
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        size_t length = strlen(address);
        _cleanup_close_ int fd = -1;

        if (length < 2 || length >= sizeof(to.sun_path))
                return -EINVAL;
        memcpy(to.sun_path, address, length);
        if (address[0] == '@')
                to.sun_path[0] = '\0';
        else
                length++; /* with its NUL */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &to,
                    (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length)) < 0)
                return -errno;
        int high = fcntl(fd, F_DUPFD_CLOEXEC, DATAGRAM_FD);
        return high >= 0 ? high : TAKE_FD(fd);
}

int datagram_send(int fd, const void *bytes, size_t size) {
        for (;;) {
                if (send(fd, bytes, size, MSG_NOSIGNAL) >= 0)
                        return 0;
                if (errno != EINTR)
                        return -errno;
        }
}
