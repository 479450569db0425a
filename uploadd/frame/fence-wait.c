/* SPDX-License-Identifier: Apache-2.0 */
#include "fence-wait.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <time.h>

#include "clock.h"

static int wait_one(int fd, uint64_t until) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        int n;

        do {
                uint64_t now = boottime_now(), left = until > now ? until - now : 0;
                struct timespec timeout = { (time_t) (left / 1000000), (long) (left % 1000000) * 1000 };
                n = ppoll(&poll_fd, 1, &timeout, NULL);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (n == 0)
                return -ETIME;
        return poll_fd.revents & POLLIN ? 0 : -EIO;
}

int fence_wait(const int *fds, size_t n, unsigned timeout_ms) {
        uint64_t until = boottime_now() + timeout_ms * UINT64_C(1000);
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = wait_one(fds[i], until);
        return r;
}
