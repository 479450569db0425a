/* SPDX-License-Identifier: Apache-2.0 */

#include "capd.h"

#include <string.h>

#include "backoff.h"
#include "clock.h"
#include "log.h"
#include "names.h"
#include "watchdog.h"
#include "wire-connection.h"
#include "wire-socket.h"
#include "wire.h"

#define GRANT_LIFETIME UINT64_C(30000000000) /* ns */
#define GRANT_RENEWAL  UINT64_C(8000000) /* µs, and up to RENEWAL_SLACK later: with the watchdog's timer */
#define RENEWAL_SLACK  UINT64_C(4000000)
#define RETRY_LEAST    UINT64_C(500000)
#define RETRY_MOST     UINT64_C(15000000)

struct Capd {
        Broker *broker;
        WireConnection *connection;
        sd_event_source *timer; /* the next renewal, or the next try to connect */
        Backoff backoff;
        uint32_t frames_per_second; /* 0: nothing is granted */
        uint64_t tried;             /* watchdog_now() of the last renewal or try */
        uint64_t cards_changed;     /* CLOCK_BOOTTIME ns, until capd was told; 0: they did not */
};

static int capd_on_status(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                          size_t n_fds _unused_, void *userdata) {
        const struct wire_control_status *status = message;
        Capd *capd = userdata;

        backoff_reset(&capd->backoff);
        if (capd->frames_per_second == 0)
                return 0;
        if (status->n_cards == 0)
                status_problem(capd->broker, PROBLEM_CAPD,
                               "streamsight-capd finds no graphics card to capture from.");
        else if (status->grant_expires == 0)
                status_problem(capd->broker, PROBLEM_CAPD, "streamsight-capd did not accept the grant.");
        else
                status_resolved(capd->broker, PROBLEM_CAPD);
        return 0;
}

static const WireRule capd_rules[] = {
        { "STATUS", WIRE_CONTROL_STATUS, sizeof(struct wire_control_status), 0, 0, WIRE_STATE_READY,
          capd_on_status },
};

static void capd_after(Capd *capd, uint64_t delay, uint64_t slack) {
        int r = sd_event_source_set_time_relative(capd->timer, delay);
        if (r >= 0)
                r = sd_event_source_set_time_accuracy(capd->timer, slack);
        if (r >= 0)
                r = sd_event_source_set_enabled(capd->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) sd_event_exit(capd->broker->event, log_error_errno(r, "Cannot set a timer: %m"));
}

static void capd_lost(Capd *capd, const char *why) {
        capd->connection = wire_connection_free(capd->connection);
        if (capd->frames_per_second == 0)
                return;
        status_problem(capd->broker, PROBLEM_CAPD,
                       "streamsight-capd cannot be reached (%s). Check: systemctl status streamsight-capd.",
                       why);
        capd_after(capd, backoff_next(&capd->backoff, RETRY_LEAST, RETRY_MOST, 0), RETRY_LEAST);
}

static void capd_on_closed(WireConnection *connection _unused_, int error _unused_, const char *detail,
                           void *userdata) {
        capd_lost(userdata, detail);
}

static int capd_connect(Capd *capd) {
        _cleanup_close_ int fd = -1;
        int r;

        if (capd->connection)
                return 0;
        r = wire_connect(capd->broker->settings.control_socket, STREAMSIGHT_DOMAIN_CAPD, false, &fd);
        if (r < 0)
                return r;
        r = wire_connection_new(&capd->connection, capd->broker->event, fd, capd_rules,
                                ELEMENTSOF(capd_rules), capd_on_closed, capd);
        if (r >= 0)
                TAKE_FD(fd);
        return r;
}

static int capd_send_grant(Capd *capd) {
        const struct wire_control_grant grant = {
                .type = WIRE_CONTROL_GRANT,
                .outputs = UINT64_MAX,
                .min_interval = UINT64_C(1000000000) / capd->frames_per_second,
                .expires = clock_boottime() * 1000 + GRANT_LIFETIME,
        };

        return wire_connection_send(capd->connection, &grant, sizeof(grant), NULL, 0);
}

static int capd_send_rescan(Capd *capd) {
        const struct wire_control_rescan rescan = {
                .type = WIRE_CONTROL_RESCAN,
                .cards = capd->cards_changed > 0,
                .time = capd->cards_changed,
        };
        int r = wire_connection_send(capd->connection, &rescan, sizeof(rescan), NULL, 0);

        if (r >= 0)
                capd->cards_changed = 0;
        return r;
}

bool capd_stuck(const Capd *capd, uint64_t patience) {
        return capd->frames_per_second > 0 && watchdog_now() - capd->tried > RETRY_MOST + patience;
}

static int capd_on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Capd *capd = userdata;
        int r;

        if (capd->frames_per_second == 0)
                return 0;
        capd->tried = watchdog_now();
        r = capd_connect(capd);
        if (r >= 0 && capd->cards_changed > 0)
                r = capd_send_rescan(capd);
        if (r >= 0)
                r = capd_send_grant(capd);
        if (r < 0)
                capd_lost(capd, strerror(-r));
        else
                capd_after(capd, GRANT_RENEWAL, RENEWAL_SLACK);
        return 0;
}

void capd_grant(Capd *capd, uint32_t frames_per_second) {
        capd->frames_per_second = frames_per_second;
        (void) capd_on_time(NULL, 0, capd);
}

void capd_revoke(Capd *capd) {
        const struct wire_plain revoke = { .type = WIRE_CONTROL_REVOKE };

        if (capd->frames_per_second == 0)
                return;
        capd->frames_per_second = 0;
        (void) sd_event_source_set_enabled(capd->timer, SD_EVENT_OFF);
        if (!capd->connection)
                return;
        int r = wire_connection_send(capd->connection, &revoke, sizeof(revoke), NULL, 0);
        if (r < 0) {
                log_warning_errno(r, "Cannot revoke the grant, which expires within %llu s: %m",
                                  (unsigned long long) (GRANT_LIFETIME / 1000000000));
                capd->connection = wire_connection_free(capd->connection);
        }
}

void capd_rescan(Capd *capd, bool cards) {
        if (cards)
                capd->cards_changed = clock_boottime() * 1000;
        if (!capd->connection)
                return;
        int r = capd_send_rescan(capd);
        if (r < 0)
                capd_lost(capd, strerror(-r));
}

int capd_new(Capd **ret, Broker *broker) {
        Capd *capd = calloc(1, sizeof(*capd));
        int r;

        if (!capd)
                return -ENOMEM;
        capd->broker = broker;
        r = sd_event_add_time(broker->event, &capd->timer, CLOCK_BOOTTIME, UINT64_MAX, 0, capd_on_time,
                              capd);
        if (r >= 0)
                r = sd_event_source_set_enabled(capd->timer, SD_EVENT_OFF);
        if (r < 0) {
                capd_free(capd);
                return r;
        }
        *ret = capd;
        return 0;
}

Capd *capd_free(Capd *capd) {
        if (!capd)
                return NULL;
        capd_revoke(capd);
        sd_event_source_disable_unref(capd->timer);
        wire_connection_free(capd->connection);
        free(capd);
        return NULL;
}
