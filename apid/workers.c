/* SPDX-License-Identifier: Apache-2.0 */

#include "workers.h"

#include <pthread.h>

struct Workers {
        void (*job)(void *item);
        pthread_mutex_t lock;
        pthread_cond_t wake;
        pthread_t *threads;
        unsigned n_threads;
        void **queue; /* a ring */
        unsigned queue_max, first, n_items, n_reserved;
        bool ending;
};

static void *work(void *userdata) {
        Workers *workers = userdata;

        pthread_mutex_lock(&workers->lock);
        for (;;) {
                while (workers->n_items == 0 && (!workers->ending || workers->n_reserved > 0))
                        pthread_cond_wait(&workers->wake, &workers->lock);
                if (workers->n_items == 0)
                        break;
                void *item = workers->queue[workers->first];
                workers->first = (workers->first + 1) % workers->queue_max;
                workers->n_items--;
                pthread_mutex_unlock(&workers->lock);
                workers->job(item);
                pthread_mutex_lock(&workers->lock);
        }
        pthread_mutex_unlock(&workers->lock);
        return NULL;
}

int workers_new(Workers **ret, unsigned n_threads, unsigned queue_max, void (*job)(void *item)) {
        Workers *workers = calloc(1, sizeof(*workers));

        if (!workers)
                return -ENOMEM;
        pthread_mutex_init(&workers->lock, NULL);
        pthread_cond_init(&workers->wake, NULL);
        workers->job = job;
        workers->queue_max = queue_max;
        workers->queue = calloc(queue_max, sizeof(*workers->queue));
        workers->threads = calloc(n_threads, sizeof(*workers->threads));
        int r = workers->queue && workers->threads ? 0 : ENOMEM;
        for (; r == 0 && workers->n_threads < n_threads; workers->n_threads += r == 0)
                r = pthread_create(&workers->threads[workers->n_threads], NULL, work, workers);
        if (r != 0) {
                workers_free(workers);
                return -r;
        }
        *ret = workers;
        return 0;
}

bool workers_reserve(Workers *workers) {
        pthread_mutex_lock(&workers->lock);
        bool room = !workers->ending && workers->n_items + workers->n_reserved < workers->queue_max;
        workers->n_reserved += room;
        pthread_mutex_unlock(&workers->lock);
        return room;
}

void workers_submit(Workers *workers, void *item) {
        pthread_mutex_lock(&workers->lock);
        workers->n_reserved--;
        workers->queue[(workers->first + workers->n_items++) % workers->queue_max] = item;
        if (workers->ending) /* all of them wait for this one */
                pthread_cond_broadcast(&workers->wake);
        else
                pthread_cond_signal(&workers->wake);
        pthread_mutex_unlock(&workers->lock);
}

unsigned workers_waiting(Workers *workers) {
        pthread_mutex_lock(&workers->lock);
        unsigned n = workers->n_items + workers->n_reserved;
        pthread_mutex_unlock(&workers->lock);
        return n;
}

void workers_end(Workers *workers) {
        if (!workers)
                return;
        pthread_mutex_lock(&workers->lock);
        workers->ending = true;
        pthread_cond_broadcast(&workers->wake);
        pthread_mutex_unlock(&workers->lock);
        for (unsigned i = 0; i < workers->n_threads; i++)
                pthread_join(workers->threads[i], NULL);
        workers->n_threads = 0;
}

Workers *workers_free(Workers *workers) {
        if (!workers)
                return NULL;
        workers_end(workers);
        pthread_cond_destroy(&workers->wake);
        pthread_mutex_destroy(&workers->lock);
        free(workers->threads);
        free(workers->queue);
        free(workers);
        return NULL;
}
