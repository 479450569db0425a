/* SPDX-License-Identifier: Apache-2.0 */
#include "wire-clock.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Late enough that no timer of the kernel's, which are set by this clock, fires during a run. */
#define BEGINNING INT64_C(4000000000)

static bool running = false;
static struct timespec now;
static uint32_t set_back;

void wire_clock_begin(void) {
        now = (struct timespec){ .tv_sec = BEGINNING };
        set_back = 0;
        running = true;
}

void wire_clock_pass(uint64_t milliseconds) {
        uint64_t nsec = (uint64_t) now.tv_nsec + milliseconds % 1000 * 1000000;

        now.tv_sec += (time_t) (milliseconds / 1000 + nsec / 1000000000);
        now.tv_nsec = (long) (nsec % 1000000000);
}

/* libFuzzer's alarm, which looks whether an input takes too long, goes by this clock: it waits. */
static void hold_alarm(int how) {
        sigset_t alarms;

        sigemptyset(&alarms);
        sigaddset(&alarms, SIGALRM);
        (void) sigprocmask(how, &alarms, NULL);
}

void wire_clock_set_back(uint32_t seconds) {
        hold_alarm(SIG_BLOCK);
        set_back = seconds;
}

void wire_clock_end(void) {
        running = false;
        hold_alarm(SIG_UNBLOCK);
}

int clock_gettime(clockid_t id, struct timespec *ret) {
        if (!running || id == CLOCK_REALTIME) {
                int r = (int) syscall(SYS_clock_gettime, id, ret);

                ret->tv_sec -= running ? set_back : 0;
                return r;
        }
        *ret = now;
        return 0;
}
