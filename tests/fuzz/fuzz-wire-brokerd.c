/* SPDX-License-Identifier: Apache-2.0 */

/* brokerd's two receivers, broker.sock and its end of control.sock, with everything behind them; it is not
 * enrolled, and there is no bus. */

#include <stdlib.h>
#include <unistd.h>

#include "broker.h"
#include "capd.h"
#include "policy-sync.h"
#include "recorder.h"
#include "recordings.h"
#include "uploadd.h"
#include "uploads.h"
#include "wire-driver.h"
#include "wire.h"

static const struct wire_hello hello = { .version = WIRE_VERSION };
static const struct wire_broker_stats stats = {
        .recording = 1,
        .n_outputs = 1,
        .outputs = { { .width = 64, .height = 16, .name = "DP-1", .driver = "virtio_gpu" } },
        .text = "a hindrance"
};
static const struct wire_broker_segment_ready ready = { .size = 1000, .n_frames = 1, .end_realtime = 1 };
static const struct wire_broker_failed failed = { .error = -5, .text = "it failed" };

const WireMessage wire_messages[] = {
        { 0, WIRE_BROKER_STATS, sizeof(struct wire_broker_stats), 0, 0, &stats, 0 },
        { 0, WIRE_BROKER_SEGMENT_READY, sizeof(struct wire_broker_segment_ready), 0, 0, &ready, 10 },
        { 0, WIRE_BROKER_FAILED, sizeof(struct wire_broker_failed), 0, 0, &failed, 10 },
        { 0, WIRE_BROKER_UPLOADED, sizeof(struct wire_broker_segment), 0, 0, NULL, 10 },
        { 0, WIRE_BROKER_FINISHED, sizeof(struct wire_broker_recording), 0, 0, NULL, 0 },
        { 1, WIRE_CONTROL_STATUS, sizeof(struct wire_control_status), 0, 0, NULL, 15 },
        { 0, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
        { 1, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
};
const size_t wire_n_messages = ELEMENTSOF(wire_messages);

static Broker broker;

sd_event *wire_target_open(void) {
        static char nowhere[] = "";

        broker = (Broker){ .settings = { .config = "agent.conf",
                                         .state_directory = nowhere,
                                         .control_socket = "1",
                                         .uploadd_user = "" } };
        if (sd_event_new(&broker.event) < 0 || policy_sync_new(&broker.policy, &broker) < 0 ||
            recorder_new(&broker.recorder, &broker) < 0 || recordings_new(&broker.recordings, &broker) < 0 ||
            uploads_new(&broker.uploads, &broker) < 0 || capd_new(&broker.capd, &broker) < 0 ||
            uploadd_new(&broker.uploadd, &broker) < 0)
                abort();
        capd_grant(broker.capd, 5);
        return broker.event;
}

void wire_target_close(void) {
        broker.uploads = uploads_free(broker.uploads);
        broker.recordings = recordings_free(broker.recordings);
        broker.policy = policy_sync_free(broker.policy);
        broker.capd = capd_free(broker.capd);
        broker.uploadd = uploadd_free(broker.uploadd);
        broker.recorder = recorder_free(broker.recorder);
        status_done(&broker.status);
        sd_event_unref(broker.event);
}
