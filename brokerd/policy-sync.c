/* SPDX-License-Identifier: Apache-2.0 */

#include "policy-sync.h"

#include <string.h>

#include "backoff.h"
#include "bus.h"
#include "log.h"
#include "recorder.h"
#include "uploads.h"

#define POLICY_INTERVAL    UINT64_C(60000000)
#define POLICY_RETRY_LEAST UINT64_C(2000000)
#define POLICY_RETRY_MOST  UINT64_C(120000000)
#define POLICY_WAIT_MOST   UINT64_C(600000000) /* at the control plane's wish: it may say "off" next */
#define POLICY_ETAG_MAX    256U
#define POLICY_PATH        "/v1/devices/self/policy"

struct PolicySync {
        Broker *broker;
        sd_event_source *timer;
        ApiCall *call;
        Backoff backoff;
        CapturePolicy policy;
        bool known;
        char etag[POLICY_ETAG_MAX];
};

static void policy_sync_after(PolicySync *sync, uint64_t delay) {
        int r = sd_event_source_set_time_relative(sync->timer, delay);
        if (r >= 0)
                r = sd_event_source_set_enabled(sync->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) sd_event_exit(sync->broker->event, log_error_errno(r, "Cannot set a timer: %m"));
}

/* One that cannot be sent back would keep every later question from being asked: RFC 9110 §8.8.3 permits
 * bytes beyond ASCII in it, which the client does not send. */
static bool etag_is_usable(const char *etag) {
        for (const char *p = etag; *p; p++)
                if (*p < ' ' || *p > '~')
                        return false;
        return strlen(etag) < POLICY_ETAG_MAX;
}

/* There is none any more: what the control plane wants now is unknown, and may be less than before. */
static void policy_sync_lose(PolicySync *sync) {
        sync->known = false;
        sync->etag[0] = '\0';
        bus_changed(sync->broker->bus);
        recorder_evaluate(sync->broker->recorder);
}

static void policy_sync_take(PolicySync *sync, const ApiAnswer *answer) {
        Broker *broker = sync->broker;
        CapturePolicy policy;
        char error[200];

        if (capture_policy_parse(answer->body, answer->body_size, &policy, error, sizeof(error)) < 0) {
                status_problem(broker, PROBLEM_POLICY, "The control plane's policy is not usable: %s.",
                               error);
                policy_sync_lose(sync);
                return;
        }
        if (!sd_id128_equal(policy.device, broker->identity.device)) {
                status_problem(broker, PROBLEM_POLICY, "The control plane's policy is for another device.");
                policy_sync_lose(sync);
                return;
        }
        status_resolved(broker, PROBLEM_POLICY);
        strcpy(sync->etag, etag_is_usable(answer->etag) ? answer->etag : "");
        if (!sync->known || policy.revision != sync->policy.revision)
                log_info("Policy revision %llu of %s: recording %s, at most %u frames a second.",
                         (unsigned long long) policy.revision, policy.company,
                         recording_mode_to_string(policy.recording), policy.frames_per_second);
        sync->policy = policy;
        sync->known = true;
        bus_changed(broker->bus);
        recorder_evaluate(broker->recorder);
}

static void policy_sync_on_answer(ApiCall *call, const ApiAnswer *answer, void *userdata) {
        PolicySync *sync = userdata;

        sync->call = NULL;
        if (answer->error < 0) {
                status_problem(sync->broker, PROBLEM_CONTROL_PLANE, "Cannot fetch the policy: %s.",
                               answer->text);
                if (strcmp(answer->code, "device_revoked") == 0)
                        policy_sync_lose(sync);
                uint64_t wait = answer->retry_after < POLICY_WAIT_MOST ? answer->retry_after
                                                                       : POLICY_WAIT_MOST;
                policy_sync_after(sync,
                                  backoff_next(&sync->backoff, POLICY_RETRY_LEAST, POLICY_RETRY_MOST, wait));
        } else {
                if (status_has(sync->broker, PROBLEM_CONTROL_PLANE)) {
                        status_resolved(sync->broker, PROBLEM_CONTROL_PLANE);
                        uploads_retry_now(sync->broker->uploads);
                }
                backoff_reset(&sync->backoff);
                if (answer->status != 304)
                        policy_sync_take(sync, answer);
                policy_sync_after(sync, POLICY_INTERVAL * 9 / 10 + jitter(POLICY_INTERVAL / 5));
        }
        api_call_free(call);
}

static int policy_sync_on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        PolicySync *sync = userdata;
        const ApiRequest request = {
                .method = "GET",
                .path = POLICY_PATH,
                .etag = sync->known && sync->etag[0] ? sync->etag : NULL,
        };
        int r;

        if (sync->call || !identity_enrolled(&sync->broker->identity))
                return 0;
        r = api_call_new(&sync->call, sync->broker->api, &request, policy_sync_on_answer, sync);
        if (r < 0) {
                log_warning_errno(r, "Cannot ask for the policy: %m");
                policy_sync_after(sync, POLICY_INTERVAL);
        }
        return 0;
}

void policy_sync_now(PolicySync *sync) {
        policy_sync_after(sync, 0);
}

void policy_sync_forget(PolicySync *sync) {
        sync->call = api_call_free(sync->call);
        sync->known = false;
        sync->etag[0] = '\0';
        backoff_reset(&sync->backoff);
}

const CapturePolicy *policy_sync_get(const PolicySync *sync) {
        return sync->known ? &sync->policy : NULL;
}

int policy_sync_new(PolicySync **ret, Broker *broker) {
        PolicySync *sync = calloc(1, sizeof(*sync));
        int r;

        if (!sync)
                return -ENOMEM;
        sync->broker = broker;
        r = sd_event_add_time_relative(broker->event, &sync->timer, CLOCK_BOOTTIME, 0, POLICY_INTERVAL / 60,
                                       policy_sync_on_time, sync);
        if (r < 0) {
                free(sync);
                return r;
        }
        *ret = sync;
        return 0;
}

PolicySync *policy_sync_free(PolicySync *sync) {
        if (!sync)
                return NULL;
        sd_event_source_disable_unref(sync->timer);
        api_call_free(sync->call);
        free(sync);
        return NULL;
}
