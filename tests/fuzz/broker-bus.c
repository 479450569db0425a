/* SPDX-License-Identifier: Apache-2.0 */
#include "broker-bus.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "broker-promises.h"
#include "bus.h"
#include "text.h"
#include "wire-pairs.h"

#define LOGIND     "org.freedesktop.login1"
#define SEAT_PATH  "/org/freedesktop/login1/seat/seat0"
#define PROPERTIES "org.freedesktop.DBus.Properties"

static sd_bus *peer;
static int its_end = -1;
static uint32_t seat;
static unsigned callers;
static char user[128];

static void must(int r) {
        if (r < 0) {
                errno = -r;
                fuzz_die("the bus");
        }
}

/* ------------------------------------------------------------------ logind and polkit */

static int answer_session(sd_bus_message *call) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *answer = NULL;

        must(sd_bus_message_new_method_return(call, &answer));
        must(sd_bus_message_append(answer, "a{sv}", 5, "Id", "s", "1", "Name", "s", user, "Class", "s",
                                   seat & BUS_SEAT_LOGIN ? "greeter" : "user", "Seat", "(so)", "seat0",
                                   SEAT_PATH, "LockedHint", "b", (seat & BUS_SEAT_LOCKED) != 0));
        must(sd_bus_send(NULL, answer, NULL));
        return 1;
}

/* Each caller is another user, so that none has too many calls. */
static int answer_user(sd_bus_message *call) {
        const char *name;

        must(sd_bus_message_read(call, "s", &name));
        return sd_bus_reply_method_return(call, "u",
                                          1000 + (uint32_t) strtoul(name + strlen(":1."), NULL, 10));
}

static int on_call(sd_bus_message *message, void *userdata _unused_, sd_bus_error *error _unused_) {
        if (sd_bus_message_is_method_call(message, "org.freedesktop.PolicyKit1.Authority",
                                          "CheckAuthorization"))
                return sd_bus_reply_method_return(message, "(bba{ss})", 1, 0, 0);
        if (sd_bus_message_is_method_call(message, "org.freedesktop.DBus", "GetConnectionUnixUser"))
                return answer_user(message);
        if (sd_bus_message_is_method_call(message, PROPERTIES, "GetAll"))
                return answer_session(message);
        if (sd_bus_message_is_method_call(message, PROPERTIES, "Get"))
                return sd_bus_reply_method_return(message, "v", "(so)", seat & BUS_SEAT_TAKEN ? "1" : "",
                                                  "/org/freedesktop/login1/session/_31");
        return 0;
}

static void seat_change(uint32_t number, const char *text) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;

        if (!text_is_clean(text))
                return;
        seat = number;
        snprintf(user, sizeof(user), "%.100s", text);
        if (!text_is_clean(user)) /* cut within a character */
                user[0] = '\0';
        must(sd_bus_message_new_signal(peer, &signal, SEAT_PATH, PROPERTIES, "PropertiesChanged"));
        must(sd_bus_message_set_sender(signal, LOGIND));
        must(sd_bus_message_append(signal, "sa{sv}as", LOGIND ".Seat", 0, 1, "ActiveSession"));
        must(sd_bus_send(peer, signal, NULL));
}

bool peer_bus_locked(void) {
        return (seat & BUS_SEAT_TAKEN) && (seat & BUS_SEAT_LOCKED);
}

/* ------------------------------------------------------------------ callers */

static const struct {
        const char *name, *signature;
} methods[] = { { "Start", "" },    { "Stop", "" },      { "Pause", "u" },
                { "Resume", "" },   { "Flush", "" },     { "Enroll", "s" },
                { "Unenroll", "" }, { "RotateKey", "" }, { "GetDiagnostics", "" } };

/* How many calls of each wait for their answer. */
static unsigned waiting[ELEMENTSOF(methods)];

static int on_reply(sd_bus_message *reply _unused_, void *userdata, sd_bus_error *error _unused_) {
        --*(unsigned *) userdata;
        return 0;
}

unsigned peer_bus_waiting(uint32_t what) {
        return waiting[what - BUS_START];
}

static void call(size_t i, uint32_t number, const char *text) {
        const char *method = methods[i].name, *signature = methods[i].signature;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        char sender[32];

        snprintf(sender, sizeof(sender), ":1.%u", ++callers);
        must(sd_bus_message_new_method_call(peer, &message, NULL, BUS_PATH, BUS_INTERFACE, method));
        must(sd_bus_message_set_sender(message, sender));
        if (signature[0] == 'u')
                must(sd_bus_message_append(message, "u", number));
        if (signature[0] == 's' && sd_bus_message_append(message, "s", text) < 0)
                return; /* what cannot be said on a bus */
        must(sd_bus_call_async(peer, NULL, message, on_reply, &waiting[i], UINT64_MAX));
        waiting[i]++;
}

void peer_bus_do(const BusDatagram *datagram, const char *text) {
        uint32_t what = datagram->what;

        if (sd_bus_is_open(peer) <= 0)
                return;
        if (what == BUS_SEAT)
                seat_change(datagram->number, text);
        else if (what >= BUS_START && what - BUS_START < ELEMENTSOF(methods)) {
                if (what == BUS_START)
                        promise_start();
                else if (what == BUS_STOP)
                        promise_stop();
                else if (what == BUS_PAUSE)
                        promise_pause();
                call(what - BUS_START, datagram->number, text);
        }
}

void peer_bus_open(sd_event *event) {
        const sd_id128_t id = SD_ID128_MAKE(01, 02, 03, 04, 05, 06, 07, 08, 09, 0a, 0b, 0c, 0d, 0e, 0f, 10);
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                fuzz_die("socketpair");
        its_end = fds[1];
        memset(waiting, 0, sizeof(waiting));
        seat = 0;
        callers = 0;
        user[0] = '\0';
        must(sd_bus_new(&peer));
        must(sd_bus_set_fd(peer, fds[0], fds[0]));
        must(sd_bus_set_server(peer, 1, id));
        must(sd_bus_set_trusted(peer, 1));
        must(sd_bus_negotiate_fds(peer, 1));
        must(sd_bus_add_filter(peer, NULL, on_call, NULL));
        must(sd_bus_start(peer));
        must(sd_bus_attach_event(peer, event, SD_EVENT_PRIORITY_NORMAL));
}

void peer_bus_close(void) {
        /* What it has not said yet, nobody hears any more. */
        sd_bus_close(peer);
        peer = sd_bus_unref(peer);
}

/* ------------------------------------------------------------------ in place of libsystemd's */

int sd_bus_open_system_with_description(sd_bus **ret, const char *description) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;

        must(sd_bus_new(&bus));
        must(sd_bus_set_description(bus, description));
        must(sd_bus_set_fd(bus, its_end, its_end));
        must(sd_bus_negotiate_fds(bus, 1));
        must(sd_bus_start(bus));
        *ret = TAKE_PTR(bus);
        return 0;
}

int sd_bus_request_name_async(sd_bus *bus _unused_, sd_bus_slot **ret _unused_, const char *name _unused_,
                              uint64_t flags _unused_, sd_bus_message_handler_t callback _unused_,
                              void *userdata _unused_) {
        return 0;
}
