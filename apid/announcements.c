/* SPDX-License-Identifier: Apache-2.0 */

#include "announcements.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "circuit.h"
#include "progress.h"

#define TOKEN     0 /* which parameter it is */
#define BATCH_MAX 64U
#define GATHER_MS 2 /* at most, after those that were not alone */

struct Announcements {
        const Context *context;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t wake;
        Announcement *first, **end;
        size_t n;
        bool ending;
};

void announcement_free(Announcement *announcement) {
        if (announcement)
                PQclear(announcement->row);
        free(announcement);
}

static char *put_quoted(char *p, const char *value) {
        *p++ = '"';
        for (; *value; *p++ = *value++)
                if (*value == '"' || *value == '\\')
                        *p++ = '\\';
        *p++ = '"';
        return p;
}

/* One parameter of all of them as PostgreSQL writes an array. NULL: out of memory. */
static char *array_of(Announcement *const *batch, size_t n, size_t parameter) {
        size_t size = sizeof("{}");

        for (size_t i = 0; i < n; i++) {
                const char *value = batch[i]->parameters[parameter];
                size += value ? 2 * strlen(value) + sizeof("\"\",") : sizeof("NULL,");
        }
        char *text = malloc(size), *p = text;
        if (!text)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                const char *value = batch[i]->parameters[parameter];
                *p++ = i == 0 ? '{' : ',';
                p = value ? put_quoted(p, value) : stpcpy(p, "NULL");
        }
        strcpy(p, "}");
        return text;
}

static PGresult *copy_row(const PGresult *rows, int row) {
        PGresult *copy = PQcopyResult(rows, PG_COPYRES_ATTRS);

        for (int i = 0; i < PQnfields(rows) && copy; i++)
                if (!PQsetvalue(copy, 0, i, PQgetvalue(rows, row, i),
                                PQgetisnull(rows, row, i) ? -1 : PQgetlength(rows, row, i)))
                        PQclear(TAKE_PTR(copy));
        return copy;
}

/* Those that are not as usual get no row, and nobody does if the database does not do it or is not there. */
static void enter(const Context *context, Announcement *const *batch, size_t n) {
        _cleanup_(PQclearp) PGresult *rows = NULL;
        char *arrays[ANNOUNCEMENT_PARAMETERS];
        bool complete = true;

        for (size_t i = 0; i < ELEMENTSOF(arrays); i++)
                complete &= (arrays[i] = array_of(batch, n, i)) != NULL;
        if (complete && database_rows(context, "offer_signed_segments", (const char *const *) arrays,
                                      ELEMENTSOF(arrays), &rows) >= 0)
                for (int row = 0; row < PQntuples(rows); row++) {
                        size_t place = (size_t) atoi(database_text_at(rows, row, "place"));
                        if (place < n && !batch[place]->row)
                                batch[place]->row = copy_row(rows, row);
                }
        if (arrays[TOKEN])
                explicit_bzero(arrays[TOKEN], strlen(arrays[TOKEN]));
        for (size_t i = 0; i < ELEMENTSOF(arrays); i++)
                free(arrays[i]);
}

static size_t take(Announcements *announcements, Announcement *ret[static BATCH_MAX]) {
        size_t n = 0;

        for (; n < BATCH_MAX && announcements->first; n++) {
                ret[n] = announcements->first;
                announcements->first = ret[n]->next;
        }
        if (!announcements->first)
                announcements->end = &announcements->first;
        announcements->n -= n;
        return n;
}

static void gather(Announcements *announcements) {
        long long end = monotonic_us() + GATHER_MS * 1000;
        const struct timespec until = { .tv_sec = end / 1000000, .tv_nsec = end % 1000000 * 1000 };
        int r = 0;

        while (r == 0 && announcements->n < BATCH_MAX && !announcements->ending)
                r = pthread_cond_clockwait(&announcements->wake, &announcements->lock, CLOCK_MONOTONIC,
                                           &until);
}

static void *work(void *userdata) {
        Announcements *announcements = userdata;
        Announcement *batch[BATCH_MAX];
        size_t n = 0;

        pthread_mutex_lock(&announcements->lock);
        for (;;) {
                while (announcements->n == 0 && !announcements->ending)
                        pthread_cond_wait(&announcements->wake, &announcements->lock);
                if (announcements->n == 0)
                        break;
                if (n > 1)
                        gather(announcements);
                n = take(announcements, batch);
                pthread_mutex_unlock(&announcements->lock);
                progress_begin();
                enter(announcements->context, batch, n);
                progress_end();
                for (size_t i = 0; i < n; i++)
                        MHD_resume_connection(batch[i]->request->connection);
                pthread_mutex_lock(&announcements->lock);
        }
        pthread_mutex_unlock(&announcements->lock);
        return NULL;
}

int announcements_new(Announcements **ret, const Context *context) {
        Announcements *announcements = calloc(1, sizeof(*announcements));
        int r;

        if (!announcements)
                return -ENOMEM;
        announcements->context = context;
        announcements->end = &announcements->first;
        pthread_mutex_init(&announcements->lock, NULL);
        pthread_cond_init(&announcements->wake, NULL);
        r = pthread_create(&announcements->thread, NULL, work, announcements);
        if (r != 0) {
                free(announcements);
                return -r;
        }
        *ret = announcements;
        return 0;
}

void announcements_submit(Announcements *announcements, Announcement *announcement) {
        announcement->next = NULL;
        pthread_mutex_lock(&announcements->lock);
        bool ending = announcements->ending;
        if (!ending) {
                *announcements->end = announcement;
                announcements->end = &announcement->next;
                announcements->n++;
                /* One that gathers is woken for the last that it has room for. */
                if (announcements->n == 1 || announcements->n == BATCH_MAX)
                        pthread_cond_signal(&announcements->wake);
        }
        pthread_mutex_unlock(&announcements->lock);
        if (ending)
                MHD_resume_connection(announcement->request->connection);
}

void announcements_end(Announcements *announcements) {
        if (!announcements)
                return;
        pthread_mutex_lock(&announcements->lock);
        announcements->ending = true;
        pthread_cond_signal(&announcements->wake);
        pthread_mutex_unlock(&announcements->lock);
        pthread_join(announcements->thread, NULL);
}

void announcements_free(Announcements *announcements) {
        if (!announcements)
                return;
        pthread_cond_destroy(&announcements->wake);
        pthread_mutex_destroy(&announcements->lock);
        free(announcements);
}
