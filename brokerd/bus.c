/* SPDX-License-Identifier: Apache-2.0 */

#include "bus.h"

#include <string.h>
#include <systemd/sd-bus.h>

#include "bus-authorize.h"
#include "bus-guard.h"
#include "bus-log-control.h"
#include "bus-properties.h"
#include "diagnostics.h"
#include "enrol.h"
#include "log.h"
#include "notify.h"
#include "policy-sync.h"
#include "recorder.h"
#include "reload.h"
#include "rotate.h"
#include "unenrol.h"
#include "uploadd.h"
#include "uploads.h"

#define ERROR_NOT_ENROLLED  "org.streamsight.Error.NotEnrolled"
#define ERROR_NOT_PERMITTED "org.streamsight.Error.NotPermitted"
#define ERROR_NOT_RECORDING "org.streamsight.Error.NotRecording"

#define NAME_PRIMARY_OWNER 1U /* RequestName's answer, D-Bus specification */

struct Bus {
        Broker *broker;
        sd_bus *bus;
        BusAuthorizations *authorizations;
        sd_event_source *deferred;
        char *emitted[BUS_PROPERTIES]; /* as of the last signal */
};

static int require_enrolment(const Broker *broker, sd_bus_error *error) {
        if (identity_enrolled(&broker->identity))
                return 0;
        return sd_bus_error_set(error, ERROR_NOT_ENROLLED,
                                "This computer is not enrolled: get a code from your administrator and run "
                                "\"streamsight enroll\".");
}

static int do_start(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Broker *broker = userdata;
        const char *why;
        int r;

        r = require_enrolment(broker, error);
        if (r < 0)
                return r;
        if (recorder_start(broker->recorder, &why) < 0)
                return sd_bus_error_setf(error, ERROR_NOT_PERMITTED, "Recording cannot be started: %s.",
                                         why);
        return sd_bus_reply_method_return(message, "");
}

static int do_stop(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Broker *broker = userdata;
        int r;

        r = require_enrolment(broker, error);
        if (r < 0)
                return r;
        recorder_stop(broker->recorder);
        return sd_bus_reply_method_return(message, "");
}

static int do_pause(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Broker *broker = userdata;
        uint32_t seconds;
        int r;

        r = sd_bus_message_read(message, "u", &seconds);
        if (r < 0)
                return r;
        r = require_enrolment(broker, error);
        if (r < 0)
                return r;
        r = recorder_pause(broker->recorder, seconds);
        if (r == -ESRCH)
                return sd_bus_error_set(error, ERROR_NOT_RECORDING, "Nothing is being recorded.");
        if (r < 0 && recorder_pause_max(broker->recorder) > 0)
                return sd_bus_error_setf(error, ERROR_NOT_PERMITTED,
                                         "The recording may be paused for %u seconds at most.",
                                         recorder_pause_max(broker->recorder));
        if (r < 0)
                return sd_bus_error_setf(error, ERROR_NOT_PERMITTED,
                                         "The recording cannot be paused: %s forbids it.",
                                         broker->settings.limits.pause_seconds == 0
                                                         ? "MaxPauseSeconds=0 in agent.conf"
                                                         : "the control plane's policy");
        return sd_bus_reply_method_return(message, "");
}

static int do_resume(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        const Broker *broker = userdata;
        int r;

        r = require_enrolment(broker, error);
        if (r < 0)
                return r;
        recorder_resume(broker->recorder);
        return sd_bus_reply_method_return(message, "");
}

static int do_flush(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Broker *broker = userdata;
        int r;

        r = require_enrolment(broker, error);
        if (r < 0)
                return r;
        if (recorder_active(broker->recorder))
                (void) uploadd_send_flush(broker->uploadd);
        uploads_retry_now(broker->uploads);
        policy_sync_now(broker->policy);
        return sd_bus_reply_method_return(message, "");
}

#define METHOD(name, action, do_it)                                                                         \
        static int name(sd_bus_message *message, void *userdata, sd_bus_error *error) {                     \
                Broker *broker = userdata;                                                                  \
                return bus_authorize(broker->bus->authorizations, message, BUS_INTERFACE "." action, do_it, \
                                     broker, error);                                                        \
        }

METHOD(method_enroll, "enroll", enrol_method)
METHOD(method_unenroll, "unenroll", unenrol_method)
METHOD(method_rotate_key, "rotate-key", rotate_method)
METHOD(method_reload, "reload-configuration", reload_method)
METHOD(method_diagnostics, "get-diagnostics", diagnostics_method)
METHOD(method_start, "start", do_start)
METHOD(method_stop, "stop", do_stop)
METHOD(method_pause, "pause", do_pause)
METHOD(method_resume, "resume", do_resume)
METHOD(method_flush, "flush", do_flush)

#define PROPERTY(name, signature)                                                                           \
        SD_BUS_PROPERTY(name, signature, bus_property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable bus_vtable[] = {
        SD_BUS_VTABLE_START(0),

        PROPERTY("State", "s"),
        PROPERTY("Recording", "s"),
        PROPERTY("RecordingSince", "t"),
        PROPERTY("Reason", "s"),
        PROPERTY("PauseReason", "s"),
        PROPERTY("PausedUntil", "t"),
        PROPERTY("Company", "s"),
        PROPERTY("DeviceId", "s"),
        PROPERTY("KeyThumbprint", "s"),
        PROPERTY("Employee", "s"),
        PROPERTY("PolicyRevision", "t"),
        PROPERTY("BucketHost", "s"),
        PROPERTY("Outputs", BUS_OUTPUTS_SIGNATURE),
        PROPERTY("SpoolSegments", "u"),
        PROPERTY("SpoolBytes", "t"),
        PROPERTY("LastUpload", "t"),
        PROPERTY("LastError", "s"),
        SD_BUS_PROPERTY("Version", "s", bus_property_get, 0, SD_BUS_VTABLE_PROPERTY_CONST),

        SD_BUS_METHOD_WITH_ARGS("Enroll", SD_BUS_ARGS("s", code), SD_BUS_RESULT("s", device_id),
                                method_enroll, SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("Unenroll", SD_BUS_NO_ARGS, SD_BUS_RESULT("b", told), method_unenroll,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RotateKey", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", thumbprint),
                                method_rotate_key, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReloadConfiguration", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", remaining),
                                method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetDiagnostics", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", report),
                                method_diagnostics, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Start", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_start,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Stop", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_stop,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_ARGS("u", seconds), SD_BUS_NO_RESULT, method_pause,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_resume,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Flush", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_flush,
                                SD_BUS_VTABLE_UNPRIVILEGED),

        SD_BUS_SIGNAL_WITH_ARGS("RecordingStarted", SD_BUS_ARGS("s", recording, "s", reason), 0),
        SD_BUS_SIGNAL_WITH_ARGS("RecordingStopped", SD_BUS_ARGS("s", recording, "s", reason), 0),
        SD_BUS_SIGNAL_WITH_ARGS("RecordingPaused", SD_BUS_ARGS("s", recording, "s", reason), 0),
        SD_BUS_SIGNAL_WITH_ARGS("RecordingResumed", SD_BUS_ARGS("s", recording), 0),
        SD_BUS_SIGNAL_WITH_ARGS("UploadFailed", SD_BUS_ARGS("s", recording, "u", sequence, "s", error), 0),
        SD_BUS_VTABLE_END,
};

static int bus_emit_changes(sd_event_source *source _unused_, void *userdata) {
        const char *changed[BUS_PROPERTIES + 1];
        Bus *bus = userdata;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < BUS_PROPERTIES; i++) {
                _cleanup_free_ char *now = NULL;

                r = bus_property_print(&bus_properties[i], bus->broker, &now);
                if (r < 0)
                        return sd_event_exit(bus->broker->event, log_error_errno(r, "Out of memory."));
                if (bus->emitted[i] && strcmp(bus->emitted[i], now) == 0)
                        continue;
                free(bus->emitted[i]);
                bus->emitted[i] = TAKE_PTR(now);
                if (strcmp(bus_properties[i].name, "Version") != 0)
                        changed[n++] = bus_properties[i].name;
        }
        changed[n] = NULL;
        if (n > 0) {
                r = sd_bus_emit_properties_changed_strv(bus->bus, BUS_PATH, BUS_INTERFACE,
                                                        (char **) changed);
                if (r < 0)
                        log_warning_errno(r, "Cannot tell the bus what has changed: %m");
        }
        return 0;
}

void bus_changed(Bus *bus) {
        if (bus)
                (void) sd_event_source_set_enabled(bus->deferred, SD_EVENT_ONESHOT);
}

static void bus_emit(Bus *bus, const char *signal, const char *recording, const char *text) {
        int r = bus ? sd_bus_emit_signal(bus->bus, BUS_PATH, BUS_INTERFACE, signal, "ss", recording, text)
                    : 0;

        if (r < 0)
                log_warning_errno(r, "Cannot emit %s: %m", signal);
}

void bus_emit_recording_started(Bus *bus, const char *recording, const char *reason) {
        bus_emit(bus, "RecordingStarted", recording, reason);
}

void bus_emit_recording_stopped(Bus *bus, const char *recording, const char *reason) {
        bus_emit(bus, "RecordingStopped", recording, reason);
}

void bus_emit_recording_paused(Bus *bus, const char *recording, const char *reason) {
        bus_emit(bus, "RecordingPaused", recording, reason);
}

void bus_emit_recording_resumed(Bus *bus, const char *recording) {
        int r = bus ? sd_bus_emit_signal(bus->bus, BUS_PATH, BUS_INTERFACE, "RecordingResumed", "s",
                                         recording)
                    : 0;

        if (r < 0)
                log_warning_errno(r, "Cannot emit RecordingResumed: %m");
}

void bus_emit_upload_failed(Bus *bus, const char *recording, uint32_t sequence, const char *text) {
        int r = bus ? sd_bus_emit_signal(bus->bus, BUS_PATH, BUS_INTERFACE, "UploadFailed", "sus", recording,
                                         sequence, text)
                    : 0;

        if (r < 0)
                log_warning_errno(r, "Cannot emit UploadFailed: %m");
}

/* Without the bus nobody could see that they are recorded, and nobody would know of a lock. */
static int bus_on_disconnected(sd_bus_message *message _unused_, void *userdata,
                               sd_bus_error *error _unused_) {
        const Broker *broker = userdata;

        log_error("The system bus is gone: ending.");
        return sd_event_exit(broker->event, -ENOTCONN);
}

int bus_end_without(sd_bus *bus, Broker *broker) {
        return sd_bus_match_signal(bus, NULL, "org.freedesktop.DBus.Local", "/org/freedesktop/DBus/Local",
                                   "org.freedesktop.DBus.Local", "Disconnected", bus_on_disconnected,
                                   broker);
}

/* The service is there once its name is. What was sent to the name meanwhile came before this. */
static int bus_on_name(sd_bus_message *answer, void *userdata, sd_bus_error *error _unused_) {
        const Broker *broker = userdata;
        uint32_t result = 0;
        int r;

        r = sd_bus_message_is_method_error(answer, NULL) ? -sd_bus_message_get_errno(answer)
                                                         : sd_bus_message_read(answer, "u", &result);
        if (r >= 0 && result != NAME_PRIMARY_OWNER)
                r = -EEXIST;
        if (r < 0) {
                log_error_errno(r,
                                "Cannot serve " BUS_NAME
                                " on the system bus (is org.streamsight.Agent1.conf installed, and not another "
                                "instance running?): %m");
                return sd_event_exit(broker->event, r);
        }
        notify("READY=1");
        return 0;
}

int bus_new(Bus **ret, Broker *broker) {
        Bus *bus = calloc(1, sizeof(*bus));
        int r;

        if (!bus)
                return -ENOMEM;
        broker->bus = bus; /* the methods find it there */
        bus->broker = broker;
        r = bus_authorizations_new(&bus->authorizations);
        if (r >= 0)
                r = sd_event_add_defer(broker->event, &bus->deferred, bus_emit_changes, bus);
        if (r >= 0)
                r = sd_bus_open_system_with_description(&bus->bus, "system");
        if (r < 0) {
                log_error_errno(r, "Cannot connect to the system bus: %m");
                goto fail;
        }
        r = bus_guard_add(bus->bus);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus->bus, NULL, BUS_PATH, BUS_INTERFACE, bus_vtable, broker);
        if (r >= 0)
                r = bus_log_control_add(bus->bus, bus->authorizations);
        if (r >= 0)
                r = bus_end_without(bus->bus, broker);
        if (r >= 0)
                r = sd_bus_attach_event(bus->bus, broker->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_request_name_async(bus->bus, NULL, BUS_NAME, 0, bus_on_name, broker);
        if (r < 0) {
                log_error_errno(r, "Cannot serve on the system bus: %m");
                goto fail;
        }
        *ret = bus;
        return 0;

fail:
        broker->bus = NULL;
        bus_free(bus);
        return r;
}

sd_bus *bus_connection(const Bus *bus) {
        return bus->bus;
}

Bus *bus_free(Bus *bus) {
        if (!bus)
                return NULL;
        bus_authorizations_free(bus->authorizations);
        sd_event_source_disable_unref(bus->deferred);
        sd_bus_flush_close_unref(bus->bus);
        for (size_t i = 0; i < BUS_PROPERTIES; i++)
                free(bus->emitted[i]);
        free(bus);
        return NULL;
}
