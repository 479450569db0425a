/* SPDX-License-Identifier: Apache-2.0 */

#include "bus-authorize.h"

#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>

#include "bus-guard.h"
#include "log.h"

#define CALLER_MAX        4U    /* of one connection while the bus is asked, of one user while polkit is */
#define WAITING_MAX       4096U /* of everybody: about a kilobyte each */
#define POLKIT_PATIENCE   UINT64_C(120000000) /* µs: somebody types a password */
#define ALLOW_INTERACTION 1U                  /* polkit: CheckAuthorizationFlags */
#define USER_UNKNOWN      ((uint32_t) -1)

typedef struct Waiting {
        LIST_ENTRY(Waiting) list;
        BusAuthorizations *authorizations;
        sd_bus_message *call;
        sd_bus_slot *slot;
        uint32_t user; /* USER_UNKNOWN until the bus has said */
        const char *action;
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
        sd_bus_message_unref(waiting->call);
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

static int too_many(sd_bus_error *error) {
        return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "Too many callers wait for authorization: try again later.");
}

static int copy_arguments(sd_bus_message *message, sd_bus_message *copy, sd_bus_error *error) {
        char type;
        int r;

        while ((r = sd_bus_message_peek_type(message, &type, NULL)) > 0) {
                union {
                        const char *text;
                        uint64_t number; /* room for any */
                } value = {};

                r = sd_bus_message_read_basic(message, type, &value);
                if (r >= 0 && type == 's' && strlen(value.text) > BUS_TEXT_MAX)
                        return bus_guard_too_long(error);
                if (r >= 0)
                        r = sd_bus_message_append_basic(copy, type,
                                                        type == 's' ? value.text : (const void *) &value);
                if (r < 0)
                        return r;
        }
        return r;
}

/* A call that is answered as message would be, without what else was sent with it. */
static int copy_call(sd_bus_message *message, sd_bus_message **ret, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *copy = NULL;
        const char *sender = sd_bus_message_get_sender(message);
        uint64_t cookie;
        int r;

        if (!sender)
                return -EACCES;
        r = sd_bus_message_get_cookie(message, &cookie);
        if (r >= 0)
                r = sd_bus_message_new_method_call(sd_bus_message_get_bus(message), &copy, NULL,
                                                   sd_bus_message_get_path(message),
                                                   sd_bus_message_get_interface(message),
                                                   sd_bus_message_get_member(message));
        if (r >= 0)
                r = sd_bus_message_set_sender(copy, sender);
        if (r >= 0)
                r = sd_bus_message_set_expect_reply(copy, sd_bus_message_get_expect_reply(message));
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(
                                copy, sd_bus_message_get_allow_interactive_authorization(message));
        /* It may hold an enrolment code. */
        if (r >= 0)
                r = sd_bus_message_sensitive(copy);
        if (r >= 0)
                r = copy_arguments(message, copy, error);
        if (r >= 0)
                r = sd_bus_message_seal(copy, cookie, 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(copy);
        return 0;
}

static void settle(Waiting *waiting, int r, sd_bus_error *error) {
        if (r < 0 || sd_bus_error_is_set(error)) {
                r = sd_bus_error_is_set(error) ? sd_bus_reply_method_error(waiting->call, error)
                                               : sd_bus_reply_method_errno(waiting->call, r, NULL);
                if (r < 0)
                        log_warning_errno(r, "Cannot answer a caller on D-Bus: %m");
        }
        sd_bus_error_free(error);
        waiting_free(waiting);
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

static int on_judgement(sd_bus_message *answer, void *userdata, sd_bus_error *unused _unused_) {
        Waiting *waiting = userdata;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = judge(answer, waiting->action, &error);
        if (r > 0)
                r = waiting->do_it(waiting->call, waiting->userdata, &error);
        settle(waiting, r, &error);
        return 0;
}

static int ask_polkit(Waiting *waiting, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *question = NULL;
        sd_bus *bus = sd_bus_message_get_bus(waiting->call);
        const Waiting *other;
        unsigned n = 0;
        int interactive, r;

        LIST_FOREACH(other, &waiting->authorizations->list, list)
        n += other->user == waiting->user;
        if (n > CALLER_MAX)
                return too_many(error);
        interactive = sd_bus_message_get_allow_interactive_authorization(waiting->call);
        r = sd_bus_message_new_method_call(bus, &question, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(question, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                          sd_bus_message_get_sender(waiting->call), waiting->action, 0,
                                          interactive > 0 ? ALLOW_INTERACTION : 0U, "");
        if (r >= 0)
                r = sd_bus_call_async(bus, &waiting->slot, question, on_judgement, waiting, POLKIT_PATIENCE);
        return r;
}

static int on_user(sd_bus_message *answer, void *userdata, sd_bus_error *unused _unused_) {
        Waiting *waiting = userdata;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        waiting->slot = sd_bus_slot_unref(waiting->slot);
        r = sd_bus_message_is_method_error(answer, NULL) ? -EACCES /* it is not there any more */
                                                         : sd_bus_message_read(answer, "u", &waiting->user);
        if (r >= 0 && waiting->user == 0)
                r = waiting->do_it(waiting->call, waiting->userdata, &error);
        else if (r >= 0 && !waiting->action)
                r = sd_bus_error_set(&error, SD_BUS_ERROR_ACCESS_DENIED, "Access denied: only root may.");
        else if (r >= 0) {
                r = ask_polkit(waiting, &error);
                if (r >= 0)
                        return 0;
        }
        settle(waiting, r, &error);
        return 0;
}

static int ask_bus(Waiting *waiting) {
        return sd_bus_call_method_async(sd_bus_message_get_bus(waiting->call), &waiting->slot,
                                        "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                        "org.freedesktop.DBus", "GetConnectionUnixUser", on_user, waiting,
                                        "s", sd_bus_message_get_sender(waiting->call));
}

int bus_authorize(BusAuthorizations *authorizations, sd_bus_message *message, const char *action,
                  BusAction do_it, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        Waiting *waiting;
        unsigned n = 0;
        int r;

        r = copy_call(message, &call, error);
        if (r < 0)
                return r;
        LIST_FOREACH(waiting, &authorizations->list, list)
        n += waiting->user == USER_UNKNOWN &&
             strcmp(sd_bus_message_get_sender(waiting->call), sd_bus_message_get_sender(call)) == 0;
        if (n >= CALLER_MAX || authorizations->count >= WAITING_MAX)
                return too_many(error);
        if (!(waiting = calloc(1, sizeof(*waiting))))
                return -ENOMEM;
        *waiting = (Waiting){ .authorizations = authorizations,
                              .call = TAKE_PTR(call),
                              .user = USER_UNKNOWN,
                              .action = action,
                              .do_it = do_it,
                              .userdata = userdata };
        LIST_INSERT_HEAD(&authorizations->list, waiting, list);
        authorizations->count++;
        r = ask_bus(waiting);
        if (r < 0) {
                waiting_free(waiting);
                return r;
        }
        return 1;
}
