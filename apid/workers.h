/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A few threads for what takes long, and a bounded queue before them: a flood of it waits or is turned away,
 * and what is quick goes on elsewhere. */

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"

typedef struct Workers Workers;

/* job is called on one of n_threads, with what was given to workers_submit(). At most queue_max wait. */
int workers_new(Workers **ret, unsigned n_threads, unsigned queue_max, void (*job)(void *item)) _must_check_;

/* Keeps a place in the queue; false if there is none, or they end. Exactly one workers_submit() must follow
 * a true. */
bool workers_reserve(Workers *workers) _must_check_;
void workers_submit(Workers *workers, void *item);

/* How many wait, places that are kept included. */
unsigned workers_waiting(Workers *workers);

/* Does what is in the queue and what a place is kept for, then ends the threads: later ones find no place.
 * Then, when none can come, frees. */
void workers_end(Workers *workers);
Workers *workers_free(Workers *workers);
DEFINE_CLEANUP(Workers *, workers_freep, workers_free)
