/* SPDX-License-Identifier: Apache-2.0 */

/* In the session of whoever sits at the screen: says on the desktop when it is recorded, and when no longer.
 * It takes no setting, so that none can silence it. */

#include <signal.h>
#include <string.h>
#include <time.h>

#include "agent.h"
#include "desktop.h"
#include "log.h"
#include "main.h"

static const char *whose_rule(const AgentView *view) {
        return strcmp(view->reason, "manual") == 0 ? "an administrator started it"
                                                   : "the organisation's policy says so";
}

static int format_time(uint64_t usec, char *ret, size_t size) {
        time_t seconds = (time_t) (usec / 1000000);
        struct tm tm;

        if (!localtime_r(&seconds, &tm) || strftime(ret, size, "%H:%M on %A, %d %B %Y", &tm) == 0)
                return -ERANGE;
        return 0;
}

static int describe(const AgentView *view, Notice *ret) {
        const char *company = view->company[0] ? view->company : "this computer's organisation";
        Notice notice = { .lasting = view->state != AGENT_IDLE };
        char since[64];
        int n = -1, m = -1, r;

        r = format_time(view->since, since, sizeof(since));
        if (r < 0)
                return r;
        switch (view->state) {
        case AGENT_IDLE:
                n = asprintf(&notice.summary, "Your screen is no longer recorded");
                m = asprintf(&notice.body, "“streamsight status” says more.");
                break;
        case AGENT_RECORDING:
                n = asprintf(&notice.summary, "Your screen is being recorded for %s", company);
                m = asprintf(&notice.body, "Since %s, because %s. “streamsight status” says more.", since,
                             whose_rule(view));
                break;
        case AGENT_PAUSED:
                n = asprintf(&notice.summary, "The recording of your screen for %s is paused", company);
                m = asprintf(&notice.body,
                             "It goes on when the pause ends or the session is unlocked. “streamsight "
                             "status” says more.");
                break;
        case AGENT_LOST:
                n = asprintf(&notice.summary, "The recording of your screen for %s was interrupted",
                             company);
                m = asprintf(&notice.body,
                             "Its service has ended and not come back. Nothing is recorded for longer than "
                             "a minute without it.");
                break;
        }
        if (n < 0 || m < 0) {
                if (n < 0)
                        notice.summary = NULL;
                if (m < 0)
                        notice.body = NULL;
                notice_done(&notice);
                return -ENOMEM;
        }
        *ret = notice;
        return 0;
}

static void on_changed(const AgentView *view, void *userdata) {
        Desktop *desktop = userdata;
        Notice notice;
        int r;

        r = describe(view, &notice);
        if (r < 0) {
                log_error_errno(r, "Cannot say what has changed: %m");
                return;
        }
        desktop_show(desktop, &notice);
}

static int open_loop(sd_event **ret) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;
        r = sd_event_new(&event);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(event);
        return 0;
}

static int run(int argc, char *argv[]) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(desktop_freep) Desktop *desktop = NULL;
        _cleanup_(agent_freep) Agent *agent = NULL;
        int r;

        if (argc > 1)
                return log_error_errno(EINVAL, "%s takes no arguments.", argv[0]);
        r = open_loop(&event);
        if (r < 0)
                return log_error_errno(r, "Cannot open an event loop: %m");
        r = desktop_new(&desktop, event);
        if (r == -EEXIST) {
                log_info("This session has a notifier already.");
                return 0;
        }
        if (r < 0)
                return log_error_errno(r, "Cannot connect to the session's bus: %m");
        r = agent_new(&agent, event, on_changed, desktop);
        if (r < 0)
                return log_error_errno(r, "Cannot connect to the system bus: %m");
        notify("READY=1");
        r = sd_event_loop(event);
        if (r > 0) /* sd_bus_set_exit_on_disconnect(3) */
                return log_error_errno(ENOTCONN, "A bus is gone, ending.");
        return r < 0 ? log_error_errno(r, "Ending: %m") : 0;
}

DEFINE_MAIN("streamsight-notifier", run)
