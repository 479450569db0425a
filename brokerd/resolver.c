/* SPDX-License-Identifier: Apache-2.0 */

#include "resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define RESOLVE_THREADS_MAX 4

/* Shared by the thread and the loop; freed by whoever lets go last. */
typedef struct Question {
        atomic_int references;
        int fd; /* eventfd: readable when answered */
        char host[256];
        struct wire_address addresses[WIRE_ADDRESSES_MAX];
        size_t n_addresses;
        int error; /* EAI_* */
} Question;

struct Resolve {
        Question *question;
        sd_event_source *source;
        ResolveDone done;
        void *userdata;
};

static atomic_int resolve_threads;

static void question_unref(Question *question) {
        if (atomic_fetch_sub(&question->references, 1) > 1)
                return;
        safe_close(question->fd);
        free(question);
}

static void question_take(Question *question, const struct addrinfo *list) {
        for (const struct addrinfo *ai = list; ai && question->n_addresses < WIRE_ADDRESSES_MAX;
             ai = ai->ai_next) {
                struct wire_address *address = &question->addresses[question->n_addresses];

                *address = (struct wire_address){ .family = (uint16_t) ai->ai_family };
                if (ai->ai_family == AF_INET) {
                        const struct sockaddr_in *in = (const void *) ai->ai_addr;
                        memcpy(address->address, &in->sin_addr, sizeof(in->sin_addr));
                } else if (ai->ai_family == AF_INET6) {
                        const struct sockaddr_in6 *in6 = (const void *) ai->ai_addr;
                        memcpy(address->address, &in6->sin6_addr, sizeof(in6->sin6_addr));
                        address->scope_id = in6->sin6_scope_id;
                } else
                        continue;
                question->n_addresses++;
        }
}

static void *question_run(void *userdata) {
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
        Question *question = userdata;
        struct addrinfo *list = NULL;

        question->error = getaddrinfo(question->host, NULL, &hints, &list);
        if (question->error == 0) {
                question_take(question, list);
                freeaddrinfo(list);
        }
        (void) eventfd_write(question->fd, 1);
        question_unref(question);
        atomic_fetch_sub(&resolve_threads, 1);
        return NULL;
}

/* Signals are the loop's business: the thread takes none. */
static int question_start(Question *question) {
        pthread_attr_t attributes;
        sigset_t all, before;
        pthread_t thread;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&thread, &attributes, question_run, question);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return -r;
}

static int resolve_on_answer(sd_event_source *source, int fd _unused_, uint32_t revents _unused_,
                             void *userdata) {
        Resolve *resolve = userdata;
        const Question *question = resolve->question;

        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        resolve->done(resolve, question->addresses, question->n_addresses,
                      question->error != 0         ? gai_strerror(question->error)
                      : question->n_addresses == 0 ? "it has no address"
                                                   : "",
                      resolve->userdata);
        return 0;
}

int resolve_new(Resolve **ret, sd_event *event, const char *host, ResolveDone done, void *userdata) {
        size_t length = strlen(host);
        bool bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
        Question *question;
        Resolve *resolve;
        int r;

        if (length >= sizeof(question->host))
                return -ENAMETOOLONG;
        if (atomic_load(&resolve_threads) >= RESOLVE_THREADS_MAX)
                return -EBUSY;
        resolve = calloc(1, sizeof(*resolve));
        question = calloc(1, sizeof(*question));
        if (!resolve || !question) {
                free(resolve);
                free(question);
                return -ENOMEM;
        }
        memcpy(question->host, host + bracketed, length - 2 * (size_t) bracketed);
        atomic_init(&question->references, 1);
        resolve->question = question;
        resolve->done = done;
        resolve->userdata = userdata;

        question->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = question->fd < 0 ? -errno : 0;
        if (r >= 0)
                r = sd_event_add_io(event, &resolve->source, question->fd, EPOLLIN, resolve_on_answer,
                                    resolve);
        if (r >= 0) {
                atomic_fetch_add(&question->references, 1);
                atomic_fetch_add(&resolve_threads, 1);
                r = question_start(question);
                if (r < 0) {
                        atomic_fetch_sub(&question->references, 1);
                        atomic_fetch_sub(&resolve_threads, 1);
                }
        }
        if (r < 0) {
                resolve_free(resolve);
                return r;
        }
        *ret = resolve;
        return 0;
}

Resolve *resolve_free(Resolve *resolve) {
        if (!resolve)
                return NULL;
        sd_event_source_disable_unref(resolve->source);
        question_unref(resolve->question);
        free(resolve);
        return NULL;
}
