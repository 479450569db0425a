/* SPDX-License-Identifier: Apache-2.0 */
#include "capd-client.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define TIMEOUT_MS 20000

void client_fail(const char *what) {
        printf("failed=%s errno=%d (%s)\n", what, errno, strerror(errno));
        exit(1);
}

int client_connect(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                client_fail("connect");
        return fd;
}

void client_hello(int fd) {
        const struct wire_hello mine = { WIRE_HELLO, WIRE_VERSION };
        Answer answer;

        if (!client_hear(fd, &answer)) {
                puts("closed");
                exit(0);
        }
        if (answer.size != sizeof(mine) || memcmp(&answer.hello, &mine, sizeof(mine)) != 0)
                client_fail("hello");
        client_say(fd, &mine, sizeof(mine), 0);
}

void client_say(int fd, const void *message, size_t size, int n_fds) {
        struct iovec iovec = { (void *) message, size };
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * 64)];
        } control = {};
        struct msghdr msghdr = { .msg_iov = &iovec, .msg_iovlen = 1 };

        if (n_fds > 0) {
                control.header = (struct cmsghdr){ CMSG_LEN(sizeof(int) * (size_t) n_fds), SOL_SOCKET,
                                                   SCM_RIGHTS };
                msghdr.msg_control = &control;
                msghdr.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t) n_fds);
                for (int i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(&control.header) + i * (int) sizeof(int), &(int){ STDIN_FILENO },
                               sizeof(int));
        }
        if (sendmsg(fd, &msghdr, MSG_NOSIGNAL) != (ssize_t) size)
                client_fail("send");
}

bool client_hear(int fd, Answer *ret) {
        struct pollfd p = { fd, POLLIN, 0 };
        struct iovec iovec = { ret, offsetof(Answer, size) };
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * WIRE_FRAME_FDS_MAX)];
        } control;
        struct msghdr msghdr = {
                .msg_iov = &iovec,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };

        ret->n_fds = 0;
        if (poll(&p, 1, TIMEOUT_MS) == 0)
                client_fail("silence");
        ssize_t n = recvmsg(fd, &msghdr, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno != ECONNRESET)
                client_fail("receive");
        if (n <= 0)
                return false;
        if (msghdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
                client_fail("truncated");
        ret->size = (size_t) n;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msghdr);
        if (c && c->cmsg_type == SCM_RIGHTS) {
                ret->n_fds = (uint32_t) ((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                memcpy(ret->fds, CMSG_DATA(c), ret->n_fds * sizeof(int));
        }
        return true;
}

void client_answer_close(Answer *answer) {
        for (uint32_t i = 0; i < answer->n_fds; i++)
                close(answer->fds[i]);
        answer->n_fds = 0;
}

void client_ask(int fd, const void *message, size_t size, Answer *ret) {
        client_say(fd, message, size, 0);
        if (!client_hear(fd, ret)) {
                puts("closed");
                exit(0);
        }
}

void client_next(int fd, uint32_t output, Answer *ret) {
        const struct wire_frame_next message = { WIRE_FRAME_NEXT, output, 0 };

        client_ask(fd, &message, sizeof(message), ret);
}
