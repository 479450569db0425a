/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "fence-wait.h"

#define N 16

/* What is asked of the kernel is counted here, for a loaded machine may take longer. */
static int64_t asked_ns, turn_readable;

int __real_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);

int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask) {
        asked_ns += timeout->tv_sec * 1000000000 + timeout->tv_nsec;
        int ready = __real_ppoll(fds, n, timeout, mask);
        /* As if the fence had been done at the last moment. */
        if (ready == 0 && turn_readable-- > 0) {
                fds[0].revents = POLLIN;
                ready = 1;
        }
        return ready;
}

static void make(int *fds, unsigned first, unsigned n, unsigned value) {
        for (unsigned i = first; i < first + n; i++)
                fds[i] = eventfd(value, EFD_CLOEXEC);
}

static void done(int *fds) {
        for (unsigned i = 0; i < N; i++)
                close(fds[i]);
        asked_ns = turn_readable = 0;
}

static void test_readable(void **state _unused_) {
        int fds[N];

        make(fds, 0, N, 1);
        assert_int_equal(fence_wait(fds, N, 100), 0);
        assert_int_equal(fence_wait(fds, 0, 100), 0);
        done(fds);
}

static void test_one_bound_for_all(void **state _unused_) {
        int fds[N];

        make(fds, 0, N, 0);
        assert_int_equal(fence_wait(fds, N, 100), -ETIME);
        assert_in_range(asked_ns, 90000000, 100000000);
        done(fds);

        /* Also if each of them is done just in time. */
        make(fds, 0, N, 0);
        turn_readable = N - 1;
        assert_int_equal(fence_wait(fds, N, 100), -ETIME);
        assert_in_range(asked_ns, 90000000, 100000000);
        done(fds);
}

static void test_only_the_last_is_not(void **state _unused_) {
        int fds[N];

        make(fds, 0, N - 1, 1);
        make(fds, N - 1, 1, 0);
        assert_int_equal(fence_wait(fds, N, 10), -ETIME);
        done(fds);
}

static void test_what_cannot_be_waited_for(void **state _unused_) {
        int pipes[2];

        assert_return_code(pipe(pipes), errno);
        close(pipes[1]);
        assert_int_equal(fence_wait(pipes, 1, 100), -EIO);
        close(pipes[0]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_readable),
                cmocka_unit_test(test_one_bound_for_all),
                cmocka_unit_test(test_only_the_last_is_not),
                cmocka_unit_test(test_what_cannot_be_waited_for),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
