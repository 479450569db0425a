/* SPDX-License-Identifier: Apache-2.0 */

#include "enrol.h"

#include <openssl/crypto.h>
#include <string.h>

#include "bus.h"
#include "log.h"
#include "message-ids.h"
#include "proof.h"
#include "text.h"

#define CODE_LENGTH_MAX 128U

#define ERROR_ENROLLED      "org.streamsight.Error.AlreadyEnrolled"
#define ERROR_CONFIGURATION "org.streamsight.Error.NoControlPlane"
#define ERROR_CODE          "org.streamsight.Error.EnrolmentCodeInvalid"
#define ERROR_REFUSED       "org.streamsight.Error.EnrolmentRefused"
#define ERROR_UNREACHABLE   "org.streamsight.Error.ControlPlaneUnreachable"

struct Enrolment {
        Broker *broker;
        sd_bus_message *message;
        EVP_PKEY *key;
        ApiCall *call;
};

static void enrolment_free(Enrolment *enrolment) {
        api_call_free(enrolment->call);
        EVP_PKEY_free(enrolment->key);
        sd_bus_message_unref(enrolment->message);
        free(enrolment);
}

DEFINE_CLEANUP(Enrolment *, enrolment_freep, enrolment_free)

static void enrolment_refuse(Enrolment *enrolment, const ApiAnswer *answer) {
        Broker *broker = enrolment->broker;
        const char *name = strcmp(answer->code, "enrolment_code_invalid") == 0 ? ERROR_CODE
                           : answer->status == 0                               ? ERROR_UNREACHABLE
                                                                               : ERROR_REFUSED;

        /* A key that the control plane has already seen is of no use for another code. */
        if (strcmp(answer->code, "device_key_known") == 0)
                identity_forget_key(broker->settings.state_directory);
        status_problem(broker, PROBLEM_ENROLMENT, "Enrolment failed: %s", answer->text);
        (void) sd_bus_reply_method_errorf(enrolment->message, name, "Enrolment failed: %s", answer->text);
}

static int enrolment_take(Enrolment *enrolment, const json_t *json) {
        Broker *broker = enrolment->broker;
        const char *device = json_string_value(json_object_get(json, "device_id"));
        const char *company = json_string_value(json_object_get(json, "company"));
        char clean[CAPTURE_NAME_MAX + 1];
        Identity identity = {};
        sd_id128_t id;
        int r;

        if (!device || !company || sd_id128_from_string(device, &id) < 0)
                return -EBADMSG;
        text_sanitize(clean, sizeof(clean), company);
        r = identity_store(broker->settings.state_directory, device, clean, broker->settings.url);
        if (r >= 0)
                r = identity_load(broker->settings.state_directory, &identity);
        if (r < 0)
                return r;
        api_set_identity(broker->api, NULL);
        identity_done(&broker->identity);
        broker->identity = identity;
        return 0;
}

static void enrolment_on_answer(ApiCall *call _unused_, const ApiAnswer *answer, void *userdata) {
        _cleanup_(enrolment_freep) Enrolment *enrolment = userdata;
        Broker *broker = enrolment->broker;
        char device[SD_ID128_UUID_STRING_MAX];

        broker->enrolment = NULL;
        if (answer->error < 0) {
                enrolment_refuse(enrolment, answer);
                return;
        }
        int r = enrolment_take(enrolment, answer->json);
        if (r < 0) {
                status_problem(broker, PROBLEM_ENROLMENT, "Enrolment failed: %s.",
                               r == -EBADMSG ? "the control plane's answer holds no device" : strerror(-r));
                (void) sd_bus_reply_method_errorf(enrolment->message, ERROR_REFUSED, "%s",
                                                  broker->status.problems[PROBLEM_ENROLMENT] ?: "");
                return;
        }
        log_event_errno(LOG_NOTICE, 0, MESSAGE_ENROLLED, "Enrolled with %s for %s as device %s.",
                        broker->settings.url, broker->identity.company,
                        sd_id128_to_uuid_string(broker->identity.device, device));
        (void) sd_bus_reply_method_return(enrolment->message, "s", device);
        broker_enrolled(broker);
}

/* What a person may have typed differently does not count: only letters and digits, in upper case. */
static int normalise(const char *code, char ret[static CODE_LENGTH_MAX + 1]) {
        size_t n = 0;

        if (strlen(code) > CODE_LENGTH_MAX)
                return -E2BIG;
        for (const char *p = code; *p; p++) {
                if (*p >= 'a' && *p <= 'z')
                        ret[n++] = (char) (*p - 'a' + 'A');
                else if ((*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9'))
                        ret[n++] = *p;
        }
        ret[n] = '\0';
        return n > 0 ? 0 : -EINVAL;
}

static int make_key(Enrolment *enrolment) {
        Broker *broker = enrolment->broker;
        const char *directory = broker->settings.state_directory;
        int r;

        if (broker->enrolled_elsewhere) {
                r = identity_forget(directory);
                if (r < 0)
                        return r;
                broker->enrolled_elsewhere = false;
        }
        r = identity_load_key(directory, &enrolment->key);
        if (r >= 0)
                return 0;
        if (r != -ENOENT)
                log_warning_errno(r, "The key in %s is of no use and will be replaced: %m", directory);
        r = identity_generate_key(&enrolment->key);
        return r < 0 ? r : identity_store_key(directory, enrolment->key);
}

static int enrolment_begin(Enrolment *enrolment, const char *code) {
        Broker *broker = enrolment->broker;
        char normal[CODE_LENGTH_MAX + 1], hostname[256] = "";
        _cleanup_free_ char *proof = NULL;
        json_auto_t *json = NULL;
        json_t *jwk;
        int r;

        r = normalise(code, normal);
        if (r >= 0)
                r = make_key(enrolment);
        if (r >= 0)
                r = proof_sign_hash(enrolment->key, broker->settings.url, "code_sha256", normal, &proof);
        if (r >= 0)
                r = jwk_from_key(enrolment->key, &jwk);
        if (r < 0) {
                OPENSSL_cleanse(normal, sizeof(normal));
                return r;
        }
        (void) gethostname(hostname, sizeof(hostname) - 1);
        json = json_pack("{s:s, s:o, s:s, s:s}", "code", normal, "public_key", jwk, "hostname", hostname,
                         "proof", proof);
        OPENSSL_cleanse(normal, sizeof(normal));
        if (!json)
                return -ENOMEM;
        return api_call_new(&enrolment->call, broker->api,
                            &(ApiRequest){ .method = "POST",
                                           .path = "/v1/devices/enroll",
                                           .json = json,
                                           .unauthenticated = true },
                            enrolment_on_answer, enrolment);
}

int enrol_method(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        _cleanup_(enrolment_freep) Enrolment *enrolment = NULL;
        Broker *broker = userdata;
        const char *code;
        int r;

        r = sd_bus_message_read(message, "s", &code);
        if (r < 0)
                return r;
        if (identity_enrolled(&broker->identity))
                return sd_bus_error_setf(error, ERROR_ENROLLED, "This computer is already enrolled with %s.",
                                         broker->identity.url);
        if (!broker->api)
                return sd_bus_error_setf(
                                error, ERROR_CONFIGURATION,
                                "No control plane is configured: set URL= in [ControlPlane] of %s and "
                                "restart streamsight-brokerd.",
                                broker->settings.config);
        if (broker->enrolment)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "An enrolment is already under way.");

        if (!(enrolment = calloc(1, sizeof(*enrolment))))
                return -ENOMEM;
        enrolment->broker = broker;
        enrolment->message = sd_bus_message_ref(message);
        r = enrolment_begin(enrolment, code);
        if (r == -EINVAL || r == -E2BIG)
                return sd_bus_error_set(
                                error, ERROR_CODE,
                                "That is no enrolment code: it has letters and digits, such as ABCD-EFGH-….");
        if (r < 0)
                return sd_bus_error_setf(error, ERROR_REFUSED, "Cannot make or keep a key in %s: %s.",
                                         broker->settings.state_directory, strerror(-r));
        broker->enrolment = TAKE_PTR(enrolment);
        return 0;
}

void enrol_cancel(Broker *broker) {
        if (broker->enrolment)
                enrolment_free(broker->enrolment);
        broker->enrolment = NULL;
}
