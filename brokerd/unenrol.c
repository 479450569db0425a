/* SPDX-License-Identifier: Apache-2.0 */

#include "unenrol.h"

#include <string.h>

#include "bus.h"
#include "log.h"
#include "message-ids.h"
#include "policy-sync.h"
#include "proof.h"
#include "recorder.h"
#include "recordings.h"
#include "reports.h"
#include "rotate.h"
#include "uploadd.h"
#include "uploads.h"

#define ERROR_NOT_ENROLLED "org.streamsight.Error.NotEnrolled"

struct Unenrolment {
        Broker *broker;
        sd_bus_message *message;
        ApiCall *call;
};

static void unenrolment_free(Unenrolment *unenrolment) {
        api_call_free(unenrolment->call);
        sd_bus_message_unref(unenrolment->message);
        free(unenrolment);
}

DEFINE_CLEANUP(Unenrolment *, unenrolment_freep, unenrolment_free)

/* Whoever calls the control plane goes first. */
static int forget(Broker *broker) {
        char device[SD_ID128_UUID_STRING_MAX];
        int r;

        sd_id128_to_uuid_string(broker->identity.device, device);
        rotate_cancel(broker);
        reports_forget(broker->reports);
        uploads_disconnected(broker->uploads);
        recordings_forget(broker->recordings);
        policy_sync_forget(broker->policy);
        if (broker->api)
                api_set_identity(broker->api, NULL);
        identity_done(&broker->identity);
        r = identity_forget(broker->settings.state_directory);
        recorder_forget(broker->recorder);
        for (Problem problem = 0; problem < _PROBLEM_MAX; problem++)
                if (problem != PROBLEM_CONFIGURATION)
                        status_resolved(broker, problem);
        /* What it holds belongs to a device that is no more. */
        (void) uploadd_send_restart(broker->uploadd);
        bus_changed(broker->bus);
        if (r < 0)
                return log_error_errno(r, "Cannot remove this device's key and id from %s: %m",
                                       broker->settings.state_directory);
        log_event_errno(LOG_NOTICE, 0, MESSAGE_UNENROLLED, "No longer enrolled: device %s is forgotten.",
                        device);
        return 0;
}

static void unenrolment_on_answer(ApiCall *call _unused_, const ApiAnswer *answer, void *userdata) {
        _cleanup_(unenrolment_freep) Unenrolment *unenrolment = userdata;
        Broker *broker = unenrolment->broker;
        /* An administrator of the organisation was quicker, or the first answer was lost. */
        bool told = answer->error >= 0 || strcmp(answer->code, "device_revoked") == 0;

        broker->unenrolment = NULL;
        if (!told)
                log_warning("The control plane could not be told that this device leaves: %s.",
                            answer->text);
        int r = forget(broker);
        if (r < 0)
                (void) sd_bus_reply_method_errno(unenrolment->message, r, NULL);
        else
                (void) sd_bus_reply_method_return(unenrolment->message, "b", told);
}

/* ApiBody: the device's key signs for this token. */
static int leave_body(const char *token, void *userdata, json_t **ret) {
        const Unenrolment *unenrolment = userdata;
        const Broker *broker = unenrolment->broker;
        _cleanup_free_ char *proof = NULL;
        int r;

        r = proof_sign_hash(broker->identity.key, broker->settings.url, "leave", token, &proof);
        if (r < 0)
                return r;
        *ret = json_pack("{s:s}", "proof", proof);
        return *ret ? 0 : -ENOMEM;
}

int unenrol_method(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        _cleanup_(unenrolment_freep) Unenrolment *unenrolment = NULL;
        Broker *broker = userdata;
        int r;

        if (!identity_enrolled(&broker->identity))
                return sd_bus_error_set(error, ERROR_NOT_ENROLLED, "This computer is not enrolled.");
        if (broker->unenrolment || broker->enrolment)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "The device is just being enrolled or unenrolled.");
        if (!(unenrolment = calloc(1, sizeof(*unenrolment))))
                return -ENOMEM;
        unenrolment->broker = broker;
        unenrolment->message = sd_bus_message_ref(message);
        recorder_stop(broker->recorder);
        r = api_call_new(&unenrolment->call, broker->api,
                         &(ApiRequest){ .method = "POST",
                                        .path = "/v1/devices/self/leave",
                                        .body = leave_body },
                         unenrolment_on_answer, unenrolment);
        if (r < 0)
                return r;
        broker->unenrolment = TAKE_PTR(unenrolment);
        return 0;
}

void unenrol_cancel(Broker *broker) {
        if (broker->unenrolment)
                unenrolment_free(broker->unenrolment);
        broker->unenrolment = NULL;
}
