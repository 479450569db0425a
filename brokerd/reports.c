/* SPDX-License-Identifier: Apache-2.0 */

#include "reports.h"

#include <string.h>

#include "backoff.h"
#include "clock.h"
#include "diagnostics.h"
#include "log.h"

#define INTERVAL UINT64_C(3600000000) /* µs */
#define SOON     UINT64_C(10000000)   /* problems seldom come alone */
#define LEAST    UINT64_C(300000000)  /* between two, whatever happens */
#define PATH     "/v1/devices/self/diagnostics"

struct Reports {
        Broker *broker;
        sd_event_source *timer;
        ApiCall *call;
        uint64_t next, last; /* µs of CLOCK_BOOTTIME; last: 0 none was sent */
};

static void reports_at(Reports *reports, uint64_t time) {
        int r = sd_event_source_set_time(reports->timer, time);
        if (r >= 0)
                r = sd_event_source_set_enabled(reports->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) sd_event_exit(reports->broker->event, log_error_errno(r, "Cannot set a timer: %m"));
        reports->next = time;
}

/* What was not taken is not sent again: the next one says the same and more. */
static void reports_on_answer(ApiCall *call, const ApiAnswer *answer, void *userdata) {
        Reports *reports = userdata;

        if (answer->error < 0)
                log_debug("The control plane does not take a report: %s.", answer->text);
        reports->call = NULL;
        api_call_free(call);
}

static int reports_on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Reports *reports = userdata;
        Broker *broker = reports->broker;
        json_auto_t *report = NULL;
        int r;

        reports_at(reports, clock_boottime() + INTERVAL * 9 / 10 + jitter(INTERVAL / 5));
        if (reports->call || !identity_enrolled(&broker->identity))
                return 0;
        reports->last = clock_boottime();
        report = diagnostics_report(broker);
        r = report ? api_call_new(&reports->call, broker->api,
                                  &(ApiRequest){ .method = "POST", .path = PATH, .json = report },
                                  reports_on_answer, reports)
                   : -ENOMEM;
        if (r < 0)
                log_debug_errno(r, "Cannot send a report: %m");
        return 0;
}

void reports_soon(Reports *reports) {
        uint64_t time = clock_boottime() + SOON;

        if (!reports)
                return;
        if (reports->last > 0 && time < reports->last + LEAST)
                time = reports->last + LEAST;
        if (time < reports->next)
                reports_at(reports, time);
}

void reports_forget(Reports *reports) {
        reports->call = api_call_free(reports->call);
}

int reports_new(Reports **ret, Broker *broker) {
        Reports *reports = calloc(1, sizeof(*reports));
        int r;

        if (!reports)
                return -ENOMEM;
        reports->broker = broker;
        reports->next = clock_boottime() + INTERVAL / 60 + jitter(INTERVAL);
        r = sd_event_add_time(broker->event, &reports->timer, CLOCK_BOOTTIME, reports->next, INTERVAL / 60,
                              reports_on_time, reports);
        if (r < 0) {
                free(reports);
                return r;
        }
        *ret = reports;
        return 0;
}

Reports *reports_free(Reports *reports) {
        if (!reports)
                return NULL;
        sd_event_source_disable_unref(reports->timer);
        api_call_free(reports->call);
        free(reports);
        return NULL;
}
