/* SPDX-License-Identifier: Apache-2.0 */

#include "progress.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "circuit.h"

#define THREADS_MAX 256U /* settings.c allows fewer */

static atomic_llong since[THREADS_MAX]; /* 0: at nothing */
static atomic_uint n_threads;

static atomic_llong *own(void) {
        static _Thread_local atomic_llong *mine;

        if (!mine) {
                unsigned i = atomic_fetch_add(&n_threads, 1);
                if (i >= THREADS_MAX)
                        abort();
                mine = &since[i];
        }
        return mine;
}

void progress_begin(void) {
        atomic_store(own(), monotonic_ms());
}

void progress_end(void) {
        atomic_store(own(), 0);
}

bool progress_is_stuck(long long milliseconds) {
        long long now = monotonic_ms();

        for (unsigned i = 0; i < THREADS_MAX; i++) {
                long long began = atomic_load(&since[i]);
                if (began != 0 && now - began > milliseconds)
                        return true;
        }
        return false;
}
