/* SPDX-License-Identifier: Apache-2.0 */

#include "bus-authorize.h"

#include <stdbool.h>
#include <sys/queue.h>

#include "log.h"

#define WAITING_MAX       64U
#define WAITING_EACH      4U                  /* of one user: nobody is to take up the others' room */
#define POLKIT_PATIENCE   UINT64_C(120000000) /* µs: somebody types a password */
#define ALLOW_INTERACTION 1U                  /* polkit: CheckAuthorizationFlags */

typedef struct Waiting {
        LIST_ENTRY(Waiting) list;
        BusAuthorizations *authorizations;
        sd_bus_message *message;
        sd_bus_slot *slot;
        const char *action;
        uid_t uid;
        BusAction do_it;
        void *userdata;
} Waiting;

struct BusAuthorizations {
        unsigned count;
        LIST_HEAD(, Waiting) list;
};

static void waiting_free(Waiting *waiting) {
        LIST_REMOVE(waiting, list);
        waiting->authorizations->count--;
        sd_bus_slot_unref(waiting->slot);
        sd_bus_message_unref(waiting->message);
        free(waiting);
}

int bus_authorizations_new(BusAuthorizations **ret) {
        BusAuthorizations *authorizations = calloc(1, sizeof(*authorizations));

        if (!authorizations)
                return -ENOMEM;
        LIST_INIT(&authorizations->list);
        *ret = authorizations;
        return 0;
}

BusAuthorizations *bus_authorizations_free(BusAuthorizations *authorizations) {
        Waiting *waiting;

        if (!authorizations)
                return NULL;
        while ((waiting = LIST_FIRST(&authorizations->list)))
                waiting_free(waiting);
        free(authorizations);
        return NULL;
}

static int caller_uid(sd_bus_message *message, uid_t *ret) {
        sd_bus_creds *creds = NULL;
        int r;

        r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);
        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, ret);
        sd_bus_creds_unref(creds);
        return r;
}

static bool has_room(const BusAuthorizations *authorizations, uid_t uid) {
        const Waiting *waiting;
        unsigned n = 0;

        LIST_FOREACH(waiting, &authorizations->list, list)
        n += waiting->uid == uid;
        return n < WAITING_EACH && authorizations->count < WAITING_MAX;
}

/* 1: allowed; else error says why not. */
static int judge(sd_bus_message *answer, const char *action, sd_bus_error *error) {
        const sd_bus_error *polkit = sd_bus_message_get_error(answer);
        int allowed, challenge, r;

        if (polkit) {
                log_warning("polkit did not decide on %s: %s", action, polkit->message ?: polkit->name);
                return sd_bus_error_setf(
                                error, SD_BUS_ERROR_ACCESS_DENIED,
                                "polkit, which decides who may do this, did not answer: %s. Root may without "
                                "it.",
                                polkit->message ?: polkit->name);
        }
        r = sd_bus_message_enter_container(answer, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(answer, "bb", &allowed, &challenge);
        if (r < 0)
                return r;
        if (allowed)
                return 1;
        return sd_bus_error_setf(
                        error,
                        challenge ? SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED
                                  : SD_BUS_ERROR_ACCESS_DENIED,
                        challenge ? "An administrator must authenticate for this (polkit action %s): run it with "
                                    "sudo, or in a session with an authentication agent."
                                  : "This is not allowed (polkit action %s): only administrators may.",
                        action);
}

static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *unused _unused_) {
        Waiting *waiting = userdata;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = judge(answer, waiting->action, &error);
        if (r > 0)
                r = waiting->do_it(waiting->message, waiting->userdata, &error);
        if (r < 0 || sd_bus_error_is_set(&error)) {
                r = sd_bus_error_is_set(&error) ? sd_bus_reply_method_error(waiting->message, &error)
                                                : sd_bus_reply_method_errno(waiting->message, r, NULL);
                if (r < 0)
                        log_warning_errno(r, "Cannot answer a caller on D-Bus: %m");
        }
        sd_bus_error_free(&error);
        waiting_free(waiting);
        return 0;
}

static int ask_polkit(Waiting *waiting) {
        sd_bus *bus = sd_bus_message_get_bus(waiting->message);
        sd_bus_message *question = NULL;
        int interactive, r;

        interactive = sd_bus_message_get_allow_interactive_authorization(waiting->message);
        r = sd_bus_message_new_method_call(bus, &question, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(question, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                          sd_bus_message_get_sender(waiting->message), waiting->action, 0,
                                          interactive > 0 ? ALLOW_INTERACTION : 0U, "");
        if (r >= 0)
                r = sd_bus_call_async(bus, &waiting->slot, question, on_answer, waiting, POLKIT_PATIENCE);
        sd_bus_message_unref(question);
        return r;
}

int bus_authorize(BusAuthorizations *authorizations, sd_bus_message *message, const char *action,
                  BusAction do_it, void *userdata, sd_bus_error *error) {
        uid_t uid = (uid_t) -1;
        Waiting *waiting;
        int r;

        r = caller_uid(message, &uid);
        if (r < 0)
                return r;
        if (uid == 0) {
                r = do_it(message, userdata, error);
                return r < 0 ? r : 1;
        }
        if (!has_room(authorizations, uid))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many callers wait for authorization: try again later.");
        if (!(waiting = calloc(1, sizeof(*waiting))))
                return -ENOMEM;
        *waiting = (Waiting){ .authorizations = authorizations,
                              .message = sd_bus_message_ref(message),
                              .action = action,
                              .uid = uid,
                              .do_it = do_it,
                              .userdata = userdata };
        LIST_INSERT_HEAD(&authorizations->list, waiting, list);
        authorizations->count++;
        r = ask_polkit(waiting);
        if (r < 0) {
                waiting_free(waiting);
                return r;
        }
        return 1;
}
