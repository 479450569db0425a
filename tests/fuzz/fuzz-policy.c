/* SPDX-License-Identifier: Apache-2.0 */

/* Any answer of the control plane as this device's policy: what is accepted never widens the local limits.
 */

#include <stdlib.h>

#include "capture-policy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const CaptureLimits limits = { RECORDING_MANUAL, 3, 50, 2000000, 20, 60, false, NULL };
        CapturePolicy policy;
        char text[256];

        if (capture_policy_parse((const char *) data, size, &policy, text, sizeof(text)) < 0)
                return 0;
        CaptureDecision decision = policy_intersect(&limits, &policy);
        if (decision.recording > RECORDING_MANUAL || decision.frames_per_second > 3 ||
            decision.jpeg_quality > 50 || decision.bucket_pinned || decision.bytes_per_minute > 2000000 ||
            decision.bytes_per_minute == 0 || decision.cpu_ms_per_second > 20 ||
            decision.cpu_ms_per_second == 0 || decision.pause_seconds > 60 || decision.record_locked)
                abort();
        return 0;
}
