/* SPDX-License-Identifier: Apache-2.0 */

/* uploadd's two receivers, its ends of frame.sock and broker.sock, with everything behind them; no bucket is
 * pinned. What encodes a frame is fuzzed by fuzz-encoder.c. */

#include <drm_fourcc.h>
#include <drm_mode.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <xf86drmMode.h>

#include "broker.h"
#include "capture.h"
#include "recording.h"
#include "upload.h"
#include "uploadd.h"
#include "wire-driver.h"
#include "wire.h"

static const struct wire_hello hello = { .version = WIRE_VERSION };
static const struct wire_outputs outputs = { .n_outputs = 1,
                                             .outputs = { { .width = 64, .height = 16, .name = "DP-1" } } };
#define OUTPUT(number)                                                                                      \
        { .id = number, .width = 64, .height = 16, .name = "DP-1" }
static const struct wire_outputs all_outputs = {
        .n_outputs = WIRE_OUTPUTS_MAX,
        .outputs = { OUTPUT(0), OUTPUT(1), OUTPUT(2), OUTPUT(3), OUTPUT(4), OUTPUT(5), OUTPUT(6), OUTPUT(7),
                     OUTPUT(8), OUTPUT(9), OUTPUT(10), OUTPUT(11), OUTPUT(12), OUTPUT(13), OUTPUT(14),
                     OUTPUT(63) },
};
#define PRIMARY                                                                                             \
        {                                                                                                   \
                .type = DRM_PLANE_TYPE_PRIMARY, .format = DRM_FORMAT_XRGB8888, .n_memory = 1, .width = 64,  \
                .height = 16, .pitches = { 256 }, .src_w = 64 << 16, .src_h = 16 << 16, .crtc_w = 64,       \
                .crtc_h = 16, .alpha = 0xffff                                                               \
        }
static const struct wire_frame frame = {
        .sequence = 1,
        .width = 64,
        .height = 16,
        .memory = WIRE_MEMORY_MEMFD,
        .n_fds = 1,
        .n_planes = 1,
        .planes = { PRIMARY },
};
static const struct wire_frame pointer_frame = {
        .sequence = 1,
        .width = 64,
        .height = 16,
        .memory = WIRE_MEMORY_MEMFD,
        .n_fds = 1,
        .n_planes = 2,
        .planes = { PRIMARY,
                    { .type = DRM_PLANE_TYPE_CURSOR,
                      .format = DRM_FORMAT_ARGB8888,
                      .n_memory = 1,
                      .width = 16,
                      .height = 16,
                      .pitches = { 64 },
                      .offsets = { 8192 },
                      .src_w = 16 << 16,
                      .src_h = 16 << 16,
                      .crtc_x = 4,
                      .crtc_y = 2,
                      .crtc_w = 16,
                      .crtc_h = 16,
                      .alpha = 0xffff } },
};
static const struct wire_broker_record record = { .quality = 85,
                                                  .frame_interval = 10000000,
                                                  .outputs = UINT64_MAX,
                                                  .segment_seconds = 60,
                                                  .segment_bytes = 1 << 20 };
static const struct wire_broker_session session = {
        .flags = WIRE_SESSION_OPEN, .uid = 1000, .id = "4", .seat = "seat0", .user = "anna"
};
static const struct wire_broker_hold hold = { .hold = WIRE_HOLD_PAUSED };
static const struct wire_frame_confirmed confirmed = { .sequence = 1, .whole = WIRE_WHOLE };
static const struct wire_frame_none none = { .reason = WIRE_REASON_OFF };

static const struct wire_broker_upload upload = {
        .n_headers = 1,
        .n_addresses = 1,
        .url = "https://s3.example.org/object",
        .headers = { { "If-None-Match", "*" } },
        .addresses = { { .family = AF_INET, .address = { 127, 0, 0, 1 } } },
};

const WireMessage wire_messages[] = {
        { 1, WIRE_BROKER_RECORD, sizeof(struct wire_broker_record), 0, 0, &record, 4 },
        { 1, WIRE_BROKER_SESSION, sizeof(struct wire_broker_session), 0, 0, &session, 4 },
        { 0, WIRE_FRAME_OUTPUTS, sizeof(struct wire_outputs), 0, 0, &outputs, 4 },
        { 0, WIRE_FRAME_OUTPUTS, sizeof(struct wire_outputs), 0, 0, &all_outputs, 4 },
        { 0, WIRE_FRAME_FRAME, sizeof(struct wire_frame), 1, WIRE_FRAME_FDS_MAX, &frame, 4 },
        { 0, WIRE_FRAME_FRAME, sizeof(struct wire_frame), 1, WIRE_FRAME_FDS_MAX, &pointer_frame, 4 },
        { 0, WIRE_FRAME_NONE, sizeof(struct wire_frame_none), 0, 0, &none, 4 },
        { 1, WIRE_BROKER_FLUSH, sizeof(struct wire_plain), 0, 0, NULL, 6 },
        { 1, WIRE_BROKER_UPLOAD, sizeof(struct wire_broker_upload), 0, 0, &upload, 0 },
        { 1, WIRE_BROKER_RELEASE, sizeof(struct wire_broker_segment), 0, 0, NULL, 0 },
        { 1, WIRE_BROKER_STOP, sizeof(struct wire_broker_recording), 0, 0, NULL, 0 },
        { 0, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
        { 1, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
        { 0, WIRE_FRAME_CONFIRMED, sizeof(struct wire_frame_confirmed), 0, 0, &confirmed, 4 },
        { 1, WIRE_BROKER_RESTART, sizeof(struct wire_plain), 0, 0, NULL, 4 },
        { 1, WIRE_BROKER_HOLD, sizeof(struct wire_broker_hold), 0, 0, &hold, 4 },
};
const size_t wire_n_messages = ELEMENTSOF(wire_messages);

static Uploadd uploadd;

sd_event *wire_target_open(void) {
        uploadd = (Uploadd){
                .settings = { .config_path = "agent.conf", .frame_socket = "0", .broker_socket = "1" }
        };
        if (sd_event_new(&uploadd.event) < 0 || capture_new(&uploadd.capture, &uploadd) < 0 ||
            broker_new(&uploadd.broker, &uploadd) < 0)
                abort();
        return uploadd.event;
}

void wire_target_close(void) {
        recording_end(&uploadd);
        uploadd.broker = broker_free(uploadd.broker);
        uploadd.capture = capture_free(uploadd.capture);
        for (Segment *segment = uploadd.segments.first; segment; segment = segment->next)
                upload_cancel(segment);
        segments_done(&uploadd.segments);
        sd_event_source_disable_unref(uploadd.stopping);
        sd_event_unref(uploadd.event);
}
