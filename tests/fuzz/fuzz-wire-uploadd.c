/* SPDX-License-Identifier: Apache-2.0 */

/* uploadd's two receivers, its ends of frame.sock and broker.sock, with everything behind them; no bucket is
 * pinned. What encodes a frame is fuzzed by fuzz-encoder.c. */

#include <drm_fourcc.h>
#include <drm_mode.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xf86drmMode.h>

#include "broker.h"
#include "capture.h"
#include "recording.h"
#include "upload.h"
#include "uploadd.h"
#include "wire-driver.h"
#include "wire.h"

static const struct wire_outputs outputs = { .n_outputs = 1,
                                             .outputs = { { .width = 64, .height = 16, .name = "DP-1" } } };
static const struct wire_frame frame = {
        .sequence = 1,
        .width = 64,
        .height = 16,
        .memory = WIRE_MEMORY_MEMFD,
        .n_fds = 1,
        .n_planes = 1,
        .planes = { { .type = DRM_PLANE_TYPE_PRIMARY,
                      .format = DRM_FORMAT_XRGB8888,
                      .n_memory = 1,
                      .width = 64,
                      .height = 16,
                      .pitches = { 256 },
                      .src_w = 64 << 16,
                      .src_h = 16 << 16,
                      .crtc_w = 64,
                      .crtc_h = 16,
                      .alpha = 0xffff } },
};
static const struct wire_broker_record record = { .quality = 85,
                                                  .frame_interval = 10000000,
                                                  .outputs = UINT64_MAX,
                                                  .segment_seconds = 60,
                                                  .segment_bytes = 1 << 20 };
static const struct wire_frame_none none = { .reason = WIRE_REASON_OFF };

const WireMessage wire_messages[] = {
        { 0, WIRE_HELLO, sizeof(struct wire_hello), 0, 0 },
        { 1, WIRE_BROKER_RECORD, sizeof(struct wire_broker_record), 0, 0, &record },
        { 0, WIRE_FRAME_OUTPUTS, sizeof(struct wire_outputs), 0, 0, &outputs },
        { 0, WIRE_FRAME_FRAME, sizeof(struct wire_frame), 1, WIRE_FRAME_FDS_MAX, &frame },
        { 0, WIRE_FRAME_NONE, sizeof(struct wire_frame_none), 0, 0, &none },
        { 1, WIRE_HELLO, sizeof(struct wire_hello), 0, 0 },
        { 1, WIRE_BROKER_FLUSH, sizeof(struct wire_plain), 0, 0 },
        { 1, WIRE_BROKER_UPLOAD, sizeof(struct wire_broker_upload), 0, 0 },
        { 1, WIRE_BROKER_RELEASE, sizeof(struct wire_broker_segment), 0, 0 },
        { 1, WIRE_BROKER_STOP, sizeof(struct wire_broker_recording), 0, 0 },
};
const size_t wire_n_messages = ELEMENTSOF(wire_messages);
const uint64_t wire_wait = 1500;

static Uploadd uploadd;
static char paths[2][64];
static int listening[2] = { -1, -1 };

void wire_target_open(WireTarget *target) {
        for (int i = 0; i < 2 && listening[1] < 0; i++) {
                snprintf(paths[i], sizeof(paths[i]), "peer-%d-%d", (int) getpid(), i);
                listening[i] = wire_driver_listen(paths[i]);
        }
        uploadd = (Uploadd){ .settings = { "agent.conf", paths[0], paths[1] } };
        if (sd_event_new(&uploadd.event) < 0 || capture_new(&uploadd.capture, &uploadd) < 0 ||
            broker_new(&uploadd.broker, &uploadd) < 0)
                abort();
        target->event = uploadd.event;
        for (int i = 0; i < 2; i++)
                /* The first tries to connect are due within a millisecond. */
                while ((target->peers[i] = accept4(listening[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) <
                       0)
                        if (sd_event_run(uploadd.event, 1000) < 0)
                                abort();
        wire_driver_run(target->event, 0);
}

void wire_target_close(WireTarget *target) {
        close(target->peers[0]);
        close(target->peers[1]);
        wire_driver_run(target->event, 0);
        recording_end(&uploadd);
        uploadd.broker = broker_free(uploadd.broker);
        uploadd.capture = capture_free(uploadd.capture);
        for (Segment *segment = uploadd.segments.first; segment; segment = segment->next)
                upload_cancel(segment);
        segments_done(&uploadd.segments);
        sd_event_unref(uploadd.event);
        for (int i = 0; i < 2; i++)
                for (int fd; (fd = accept4(listening[i], NULL, NULL, SOCK_CLOEXEC)) >= 0;)
                        close(fd);
}
