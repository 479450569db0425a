/* SPDX-License-Identifier: Apache-2.0 */

/* capd's two receivers, frame.sock and control.sock, with everything behind them; there is no card. */

#include <stdlib.h>

#include "capd.h"
#include "wire-driver.h"
#include "wire.h"

static const struct wire_hello hello = { .version = WIRE_VERSION };
/* Within a minute of the driver's time. */
static const struct wire_control_grant grant = { .outputs = UINT64_MAX,
                                                 .min_interval = WIRE_GRANT_INTERVAL_MIN,
                                                 .expires = UINT64_C(4000000050000000000) };

const WireMessage wire_messages[] = {
        { 0, WIRE_FRAME_OUTPUTS_GET, sizeof(struct wire_plain), 0, 0, NULL, 0 },
        { 0, WIRE_FRAME_NEXT, sizeof(struct wire_frame_next), 0, 0, NULL, 4 },
        { 1, WIRE_CONTROL_GRANT, sizeof(struct wire_control_grant), 0, 0, &grant, 4 },
        { 0, WIRE_FRAME_NEXT, sizeof(struct wire_frame_next), 0, 0, NULL, 4 },
        { 1, WIRE_CONTROL_STATUS_GET, sizeof(struct wire_plain), 0, 0, NULL, 0 },
        { 1, WIRE_CONTROL_REVOKE, sizeof(struct wire_plain), 0, 0, NULL, 0 },
        { 0, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
        { 1, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
        { 0, WIRE_FRAME_CONFIRM, sizeof(struct wire_frame_confirm), 0, 0, NULL, 4 },
        { 1, WIRE_CONTROL_RESCAN, sizeof(struct wire_control_rescan), 0, 0, NULL, 4 },
};
const size_t wire_n_messages = ELEMENTSOF(wire_messages);

static Capd capd;

sd_event *wire_target_open(void) {
        capd = (Capd){ .frames = { "uploadd", .listen_fd = wire_driver_listen(0) },
                       .control = { "brokerd", .listen_fd = wire_driver_listen(1) } };
        if (sd_event_new(&capd.event) < 0 || frames_listen(&capd) < 0 || control_listen(&capd) < 0)
                abort();
        return capd.event;
}

void wire_target_close(void) {
        peer_close(&capd.frames);
        peer_close(&capd.control);
        sd_event_unref(capd.event);
}
