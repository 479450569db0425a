/* SPDX-License-Identifier: Apache-2.0 */

#include "seat.h"

#include <string.h>

#include "cleanup.h"
#include "log.h"
#include "recorder.h"
#include "text.h"
#include "uploadd.h"

#define LOGIND         "org.freedesktop.login1"
#define LOGIND_SEAT    "/org/freedesktop/login1/seat/seat0"
#define SEAT_INTERFACE LOGIND ".Seat"
#define PROPERTIES     "org.freedesktop.DBus.Properties"

struct Seat {
        Broker *broker;
        sd_bus *bus;
        sd_bus_slot *changed, *session_changed, *owner; /* what is watched */
        sd_bus_slot *call;                              /* under way, NULL: none */
        bool again;                                     /* something changed while it was */
        bool known, locked;
        struct wire_broker_session session;
};

/* What logind says of the session. */
typedef struct SeatSession {
        struct wire_broker_session told; /* to uploadd */
        bool locked;
} SeatSession;

static void seat_ask(Seat *seat);

static void seat_set(Seat *seat, const SeatSession *found) {
        const struct wire_broker_session *session = &found->told;
        bool same = seat->known && memcmp(&seat->session, session, sizeof(*session)) == 0;

        seat->session = *session;
        seat->known = true;
        seat->locked = found->locked;
        if (!same)
                (void) uploadd_send_session(seat->broker->uploadd, session);
        recorder_evaluate(seat->broker->recorder);
}

static const SeatSession nobody = { .told.type = WIRE_BROKER_SESSION };

/* A question is answered, well or not. */
static void seat_answered(Seat *seat, const SeatSession *session) {
        seat->call = sd_bus_slot_unref(seat->call);
        seat_set(seat, session);
        if (seat->again)
                seat_ask(seat);
}

/* logind does not say: it is being restarted, or the session has just gone. What was the case is so until it
 * is known to be otherwise, above all that the session is locked. */
static void seat_unanswered(Seat *seat, sd_bus_message *error) {
        const SeatSession last = { seat->session, seat->locked };

        log_debug("logind does not say who is at the seat: %s", sd_bus_message_get_error(error)->name);
        seat_answered(seat, seat->known ? &last : &nobody);
}

/* A text that fits with its NUL, and that uploadd would take; else none. */
static int read_text(sd_bus_message *message, char *ret, size_t size) {
        const char *text;
        int r;

        r = sd_bus_message_read_basic(message, 's', &text);
        if (r < 0)
                return r;
        strcpy(ret, strlen(text) < size && text_is_clean(text) ? text : "");
        return 0;
}

/* One property of org.freedesktop.login1.Session, in its variant. */
static int read_property(sd_bus_message *message, const char *name, SeatSession *found) {
        struct wire_broker_session *session = &found->told;
        char class[32] = "";
        int r, locked;

        if (strcmp(name, "Id") == 0)
                return read_text(message, session->id, sizeof(session->id));
        if (strcmp(name, "Name") == 0)
                return read_text(message, session->user, sizeof(session->user));
        if (strcmp(name, "LockedHint") == 0) {
                r = sd_bus_message_read_basic(message, 'b', &locked);
                found->locked = r >= 0 && locked;
                return r;
        }
        if (strcmp(name, "Class") == 0) {
                r = read_text(message, class, sizeof(class));
                if (r >= 0 && strcmp(class, "greeter") == 0)
                        session->flags |= WIRE_SESSION_LOGIN;
                return r;
        }
        r = sd_bus_message_enter_container(message, 'r', strcmp(name, "User") == 0 ? "uo" : "so");
        if (r < 0)
                return r;
        r = strcmp(name, "User") == 0 ? sd_bus_message_read_basic(message, 'u', &session->uid)
                                      : read_text(message, session->seat, sizeof(session->seat));
        if (r >= 0)
                r = sd_bus_message_skip(message, "o");
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_session(sd_bus_message *message, SeatSession *session) {
        static const struct {
                const char *name, *type;
        } wanted[] = { { "Id", "s" },      { "Name", "s" },    { "Class", "s" },
                       { "User", "(uo)" }, { "Seat", "(so)" }, { "LockedHint", "b" } };
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                const char *name, *type = NULL;

                r = sd_bus_message_read_basic(message, 's', &name);
                for (size_t i = 0; i < ELEMENTSOF(wanted) && r >= 0; i++)
                        if (strcmp(wanted[i].name, name) == 0)
                                type = wanted[i].type;
                if (r >= 0 && !type)
                        r = sd_bus_message_skip(message, "v");
                else if (r >= 0) {
                        r = sd_bus_message_enter_container(message, 'v', type);
                        if (r >= 0)
                                r = read_property(message, name, session);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(message);
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r;
}

static int on_session(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        SeatSession session = { .told = { .type = WIRE_BROKER_SESSION, .flags = WIRE_SESSION_OPEN } };
        Seat *seat = userdata;
        int r;

        if (sd_bus_message_is_method_error(message, NULL)) {
                seat_unanswered(seat, message);
                return 0;
        }
        r = read_session(message, &session);
        if (r < 0)
                log_warning_errno(r, "logind's answer about the session at the seat is not understood: %m");
        seat_answered(seat, r < 0 ? &nobody : &session);
        return 0;
}

static int seat_call(Seat *seat, const char *path, const char *member, const char *interface,
                     const char *property, sd_bus_message_handler_t handler) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = sd_bus_message_new_method_call(seat->bus, &message, LOGIND, path, PROPERTIES, member);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(message, false);
        if (r >= 0)
                r = sd_bus_message_append_basic(message, 's', interface);
        if (r >= 0 && property)
                r = sd_bus_message_append_basic(message, 's', property);
        if (r >= 0) {
                seat->call = sd_bus_slot_unref(seat->call);
                r = sd_bus_call_async(seat->bus, &seat->call, message, handler, seat, 0);
        }
        return r;
}

static int on_active(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        const char *id = "", *path = "";
        Seat *seat = userdata;
        int r;

        if (sd_bus_message_is_method_error(message, SD_BUS_ERROR_UNKNOWN_OBJECT)) /* no seat0 */
                seat_answered(seat, &nobody);
        else if (sd_bus_message_is_method_error(message, NULL))
                seat_unanswered(seat, message);
        if (sd_bus_message_is_method_error(message, NULL))
                return 0;
        r = sd_bus_message_read(message, "v", "(so)", &id, &path);
        if (r >= 0 && id[0])
                r = seat_call(seat, path, "GetAll", LOGIND ".Session", NULL, on_session);
        else
                seat_answered(seat, &nobody);
        if (r < 0) {
                log_warning_errno(r, "logind cannot be asked who is at the seat: %m");
                seat_answered(seat, &nobody);
        }
        return 0;
}

static void seat_ask(Seat *seat) {
        int r;

        if (seat->call) {
                seat->again = true;
                return;
        }
        seat->again = false;
        r = seat_call(seat, LOGIND_SEAT, "Get", SEAT_INTERFACE, "ActiveSession", on_active);
        if (r < 0)
                log_warning_errno(r, "logind cannot be asked who is at the seat: %m");
}

static int on_change(sd_bus_message *message _unused_, void *userdata, sd_bus_error *error _unused_) {
        seat_ask(userdata);
        return 0;
}

int seat_new(Seat **ret, Broker *broker, sd_bus *bus) {
        Seat *seat = calloc(1, sizeof(*seat));
        int r;

        if (!seat)
                return -ENOMEM;
        seat->broker = broker;
        seat->bus = sd_bus_ref(bus);
        r = sd_bus_match_signal_async(bus, &seat->changed, LOGIND, LOGIND_SEAT, PROPERTIES,
                                      "PropertiesChanged", on_change, NULL, seat);
        /* Of any session: its own path is not known beforehand. */
        if (r >= 0)
                r = sd_bus_add_match_async(bus, &seat->session_changed,
                                           "type='signal',sender='" LOGIND "',interface='" PROPERTIES
                                           "',member='PropertiesChanged',arg0='" LOGIND ".Session'",
                                           on_change, NULL, seat);
        /* logind may start later than this process, or again. */
        if (r >= 0)
                r = sd_bus_add_match_async(bus, &seat->owner,
                                           "type='signal',sender='org.freedesktop.DBus',"
                                           "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                           "arg0='" LOGIND "'",
                                           on_change, NULL, seat);
        if (r < 0) {
                seat_free(seat);
                return log_error_errno(r, "Cannot watch who is at the seat: %m");
        }
        seat_ask(seat);
        *ret = seat;
        return 0;
}

Seat *seat_free(Seat *seat) {
        if (!seat)
                return NULL;
        sd_bus_slot_unref(seat->changed);
        sd_bus_slot_unref(seat->session_changed);
        sd_bus_slot_unref(seat->owner);
        sd_bus_slot_unref(seat->call);
        sd_bus_unref(seat->bus);
        free(seat);
        return NULL;
}

bool seat_known(const Seat *seat) {
        return seat && seat->known;
}

bool seat_locked(const Seat *seat) {
        return seat && seat->locked;
}

bool seat_get(const Seat *seat, struct wire_broker_session *ret) {
        if (!seat || !seat->known)
                return false;
        *ret = seat->session;
        return true;
}
