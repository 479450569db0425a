/* SPDX-License-Identifier: Apache-2.0 */

#include "rotate.h"

#include <string.h>

#include "bus.h"
#include "log.h"
#include "message-ids.h"
#include "proof.h"

#define ERROR_NOT_ENROLLED "org.streamsight.Error.NotEnrolled"
#define ERROR_REFUSED      "org.streamsight.Error.KeyRefused"
#define ERROR_UNREACHABLE  "org.streamsight.Error.ControlPlaneUnreachable"

struct Rotation {
        Broker *broker;
        sd_bus_message *message;
        EVP_PKEY *key; /* the next one */
        ApiCall *call;
};

static void rotation_free(Rotation *rotation) {
        api_call_free(rotation->call);
        EVP_PKEY_free(rotation->key);
        sd_bus_message_unref(rotation->message);
        free(rotation);
}

DEFINE_CLEANUP(Rotation *, rotation_freep, rotation_free)

/* The control plane takes the next key, and no longer the one before. */
static int promote(Broker *broker, EVP_PKEY *key) {
        int r;

        r = identity_promote_next_key(broker->settings.state_directory);
        if (r == -ENOENT)
                return 0; /* a token has shown it before */
        if (r >= 0)
                r = identity_set_key(&broker->identity, key);
        if (r < 0)
                return r;
        log_event_errno(LOG_NOTICE, 0, MESSAGE_KEY_CHANGED, "This device's key is %s now.",
                        broker->identity.thumbprint);
        bus_changed(broker->bus);
        return 0;
}

static void rotation_on_answer(ApiCall *call _unused_, const ApiAnswer *answer, void *userdata) {
        _cleanup_(rotation_freep) Rotation *rotation = userdata;
        Broker *broker = rotation->broker;

        broker->rotation = NULL;
        if (answer->error < 0) {
                /* One that the device had before, and will not get again: the next try is with another.
                 * After any other answer, which need not be the control plane's, it may be the one that is
                 * taken. */
                if (strcmp(answer->code, "device_key_known") == 0 && !broker->trying_next_key)
                        identity_forget_next_key(broker->settings.state_directory);
                (void) sd_bus_reply_method_errorf(
                                rotation->message, answer->status == 0 ? ERROR_UNREACHABLE : ERROR_REFUSED,
                                "The key was not changed, or it is not known whether it was: %s. Both are kept "
                                "until that is known; try again.",
                                answer->text);
                return;
        }
        int r = promote(broker, rotation->key);
        if (r < 0)
                (void) sd_bus_reply_method_errnof(
                                rotation->message, r,
                                "The control plane has the new key, which cannot be put in place in %s: %s",
                                broker->settings.state_directory, strerror(-r));
        else
                (void) sd_bus_reply_method_return(rotation->message, "s", broker->identity.thumbprint);
}

/* ApiBody: the new key signs for this token, the old one for the new key. */
static int rotation_body(const char *token, void *userdata, json_t **ret) {
        const Rotation *rotation = userdata;
        const Broker *broker = rotation->broker;
        _cleanup_free_ char *proof = NULL, *consent = NULL;
        char thumbprint[THUMBPRINT_SIZE];
        json_t *jwk;
        int r;

        r = jwk_thumbprint(rotation->key, thumbprint);
        if (r >= 0)
                r = proof_sign_hash(rotation->key, broker->settings.url, "token_sha256", token, &proof);
        if (r >= 0)
                r = proof_sign(broker->identity.key, broker->settings.url, "key", thumbprint, &consent);
        if (r >= 0)
                r = jwk_from_key(rotation->key, &jwk);
        if (r < 0)
                return r;
        *ret = json_pack("{s:o, s:s, s:s}", "public_key", jwk, "proof", proof, "consent", consent);
        return *ret ? 0 : -ENOMEM;
}

/* The one of a try whose answer was lost, or a new one. */
static int next_key(const Broker *broker, EVP_PKEY **ret) {
        const char *directory = broker->settings.state_directory;
        int r;

        r = identity_load_next_key(directory, ret);
        if (r != -ENOENT)
                return r;
        r = identity_generate_key(ret);
        return r < 0 ? r : identity_store_next_key(directory, *ret);
}

int rotate_method(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        _cleanup_(rotation_freep) Rotation *rotation = NULL;
        Broker *broker = userdata;
        int r;

        if (!identity_enrolled(&broker->identity))
                return sd_bus_error_set(error, ERROR_NOT_ENROLLED, "This computer is not enrolled.");
        if (broker->rotation || broker->unenrolment)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "The key is just being changed or forgotten.");
        if (!(rotation = calloc(1, sizeof(*rotation))))
                return -ENOMEM;
        rotation->broker = broker;
        rotation->message = sd_bus_message_ref(message);
        r = next_key(broker, &rotation->key);
        if (r < 0)
                return sd_bus_error_setf(error, ERROR_REFUSED, "Cannot make or keep a key in %s: %s.",
                                         broker->settings.state_directory, strerror(-r));
        r = api_call_new(&rotation->call, broker->api,
                         &(ApiRequest){ .method = "POST",
                                        .path = "/v1/devices/self/key",
                                        .body = rotation_body },
                         rotation_on_answer, rotation);
        if (r < 0)
                return r;
        broker->rotation = TAKE_PTR(rotation);
        return 0;
}

bool rotate_token_answered(bool refused, void *userdata) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *next = NULL, *present = NULL;
        Broker *broker = userdata;
        bool tried = broker->trying_next_key;
        int r;

        if (!refused && !tried)
                return false;
        r = identity_load_next_key(broker->settings.state_directory, &next);
        if (r < 0 && !tried)
                return false;
        broker->trying_next_key = !tried;
        if (!tried)
                return identity_set_key(&broker->identity, next) >= 0;
        if (!refused && r >= 0) {
                r = promote(broker, next);
                if (r < 0)
                        log_error_errno(r, "Cannot put the device's new key in place: %m");
                return false;
        }
        /* Neither is taken: then it is not for the key. Or the next one has been given up meanwhile. */
        r = identity_load_key(broker->settings.state_directory, &present);
        if (r >= 0)
                (void) identity_set_key(&broker->identity, present);
        return false;
}

void rotate_cancel(Broker *broker) {
        if (broker->rotation) {
                (void) sd_bus_reply_method_errorf(
                                broker->rotation->message, ERROR_REFUSED,
                                "The key was not changed, or it is not known whether it was: meanwhile the "
                                "device has been forgotten, or streamsight-brokerd ends.");
                rotation_free(broker->rotation);
        }
        broker->rotation = NULL;
        broker->trying_next_key = false;
}
