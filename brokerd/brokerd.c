/* SPDX-License-Identifier: Apache-2.0 */

#include <signal.h>
#include <string.h>

#include "broker.h"
#include "brokerd-sandbox.h"
#include "bus.h"
#include "capd.h"
#include "clock.h"
#include "displays.h"
#include "enrol.h"
#include "log.h"
#include "main.h"
#include "policy-sync.h"
#include "recorder.h"
#include "recordings.h"
#include "reports.h"
#include "rotate.h"
#include "sandbox.h"
#include "seat.h"
#include "unenrol.h"
#include "uploadd.h"
#include "uploads.h"
#include "watchdog.h"
#include "wire-socket.h"

static void broker_done(Broker *broker) {
        /* What uses others goes before them. */
        enrol_cancel(broker);
        unenrol_cancel(broker);
        rotate_cancel(broker);
        broker->reports = reports_free(broker->reports);
        broker->uploads = uploads_free(broker->uploads);
        broker->recordings = recordings_free(broker->recordings);
        broker->policy = policy_sync_free(broker->policy);
        broker->displays = displays_free(broker->displays);
        broker->capd = capd_free(broker->capd);
        broker->uploadd = uploadd_free(broker->uploadd);
        broker->recorder = recorder_free(broker->recorder);
        broker->seat = seat_free(broker->seat);
        broker->bus = bus_free(broker->bus);
        broker->api = api_free(broker->api);
        broker->http = http_client_free(broker->http);
        identity_done(&broker->identity);
        status_done(&broker->status);
        settings_done(&broker->settings);
        broker->event = sd_event_unref(broker->event);
}

/* Before the bus is closed, which happens as the loop ends: who watches is to hear of the end of a
 * recording. */
static int on_exit_loop(sd_event_source *source _unused_, void *userdata) {
        const Broker *broker = userdata;

        notify("STOPPING=1");
        if (broker->recorder)
                recorder_shutdown(broker->recorder);
        return 0;
}

static int add_exit(Broker *broker) {
        _cleanup_(sd_event_source_unrefp) sd_event_source *source = NULL;
        int r;

        r = sd_event_add_exit(broker->event, &source, on_exit_loop, broker);
        if (r >= 0)
                r = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
        return r < 0 ? r : sd_event_source_set_floating(source, true);
}

static const char *stuck(uint64_t patience, void *userdata) {
        const Broker *broker = userdata;

        if (broker->http && http_client_stuck(broker->http, patience))
                return "a request to the control plane does not end";
        return broker->capd && capd_stuck(broker->capd, patience) ? "the grant is not renewed" : NULL;
}

static int open_loop(Broker *broker) {
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;
        r = sd_event_new(&broker->event);
        if (r >= 0)
                r = watchdog_start(broker->event, stuck, broker);
        if (r >= 0)
                r = sd_event_add_signal(broker->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(broker->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = add_exit(broker);
        return r;
}

static int open_identity(Broker *broker) {
        const char *url = broker->settings.url;
        int r;

        r = identity_load(broker->settings.state_directory, &broker->identity);
        if (r == -EKEYREJECTED)
                return log_error_errno(
                                r,
                                "The device key in %s was stored under another wrapping key than the "
                                "one given, or was altered. Bring that credential back; if it is lost, "
                                "move device.json away and enrol again.",
                                broker->settings.state_directory);
        if (r < 0)
                return log_error_errno(r,
                                       "Cannot read this device's key and id in %s (if they are lost, move "
                                       "device.json away and enrol again): %m",
                                       broker->settings.state_directory);
        if (identity_enrolled(&broker->identity) && url && strcmp(broker->identity.url, url) != 0) {
                status_problem(broker, PROBLEM_CONFIGURATION,
                               "This computer is enrolled with %s, but %s names %s: enrol it anew, or correct URL=.",
                               broker->identity.url, broker->settings.config, url);
                /* It stays on disk: URL= may be a slip of the pen. */
                identity_done(&broker->identity);
                broker->enrolled_elsewhere = true;
        }
        return 0;
}

static int open_control_plane(Broker *broker) {
        const Settings *settings = &broker->settings;
        int r;

        if (!settings->url) {
                status_problem(broker, PROBLEM_CONFIGURATION,
                               "No control plane is configured: set URL= in [ControlPlane] of %s.",
                               settings->config);
                identity_done(&broker->identity);
                return 0;
        }
        r = http_client_new(&broker->http, broker->event, settings->ca_file,
                            "streamsight-brokerd/" STREAMSIGHT_VERSION);
        if (r < 0)
                return log_error_errno(
                                r,
                                "Cannot read certificates from %s, for [ControlPlane] CAFile= of %s: %m%s",
                                settings->ca_file ?: HTTP_CA_FILE_DEFAULT, settings->config,
                                http_ca_file_hint(r, settings->ca_file));
        r = api_new(&broker->api, broker->http, settings->url);
        if (r >= 0)
                api_set_token_answered(broker->api, rotate_token_answered, broker);
        if (r >= 0 && identity_enrolled(&broker->identity))
                api_set_identity(broker->api, &broker->identity);
        return r;
}

/* Over a connection of its own: a user who leaves many answers unread has the bus take no more questions
 * from the one that answers (bus-guard.c), and a lock must not go unnoticed for that. */
static int open_seat(Broker *broker) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_open_system_with_description(&bus, "seat");
        if (r >= 0)
                r = bus_end_without(bus, broker);
        if (r >= 0)
                r = sd_bus_attach_event(bus, broker->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return log_error_errno(r, "Cannot connect to the system bus: %m");
        return seat_new(&broker->seat, broker, bus);
}

static int open_parts(Broker *broker) {
        int r;

        r = policy_sync_new(&broker->policy, broker);
        if (r >= 0)
                r = recorder_new(&broker->recorder, broker);
        if (r >= 0)
                r = recordings_new(&broker->recordings, broker);
        if (r >= 0)
                r = uploads_new(&broker->uploads, broker);
        if (r >= 0)
                r = capd_new(&broker->capd, broker);
        if (r >= 0)
                r = reports_new(&broker->reports, broker);
        if (r < 0)
                return log_error_errno(r, "Cannot start: %m");
        displays_new(&broker->displays, broker);
        return 0;
}

void broker_enrolled(Broker *broker) {
        status_resolved(broker, PROBLEM_ENROLMENT);
        status_resolved(broker, PROBLEM_CONFIGURATION);
        api_set_identity(broker->api, &broker->identity);
        policy_sync_now(broker->policy);
        uploads_kick(broker->uploads);
        bus_changed(broker->bus);
}

static int run(int argc, char *argv[]) {
        _cleanup_(broker_done) Broker broker = {};
        int r;

        broker.status.started = clock_realtime();
        r = settings_load(&broker.settings, argc, argv);
        if (r <= 0)
                return r;
        r = sandbox_prepare();
        if (r < 0)
                return log_error_errno(r, "Cannot forbid new privileges and core files: %m");
        r = wire_know_domain();
        if (r < 0)
                return log_error_errno(r, "Cannot see its own SELinux domain: %m");
        r = identity_protect_process();
        if (r < 0)
                return log_error_errno(
                                r,
                                "Cannot lock memory for the device key (its unit's LimitMEMLOCK= must "
                                "allow it): %m");
        r = identity_take_wrapping_key();
        if (r < 0)
                return log_error_errno(r,
                                       "Cannot read the credential wrapping-key, under which the device key "
                                       "is stored (LoadCredentialEncrypted= of the unit; "
                                       "streamsight-brokerd-key.service makes it): %m");
        r = open_loop(&broker);
        if (r < 0)
                return log_error_errno(r, "Cannot open an event loop: %m");
        r = open_identity(&broker);
        if (r < 0)
                return r;
        r = open_control_plane(&broker);
        if (r < 0)
                return r;
        r = open_parts(&broker);
        if (r < 0)
                return r;
        r = uploadd_new(&broker.uploadd, &broker);
        if (r < 0)
                return r;
        r = bus_new(&broker.bus, &broker);
        if (r < 0)
                return r;
        r = open_seat(&broker);
        if (r < 0)
                return r;
        r = brokerd_sandbox_enter(&broker.settings);
        if (r < 0)
                return r;

        r = sd_event_loop(broker.event);
        return r < 0 ? log_error_errno(r, "Ending: %m") : 0;
}

DEFINE_MAIN("streamsight-brokerd", run)
