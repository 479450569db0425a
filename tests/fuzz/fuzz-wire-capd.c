/* SPDX-License-Identifier: Apache-2.0 */

/* capd's two receivers, frame.sock and control.sock, with everything behind them; there is no card. */

#include <stdlib.h>
#include <unistd.h>

#include "capd.h"
#include "wire-driver.h"
#include "wire.h"

static const struct wire_control_grant grant = { .outputs = UINT64_MAX,
                                                 .min_interval = WIRE_GRANT_INTERVAL_MIN,
                                                 .expires = UINT64_C(10000000000) };

const WireMessage wire_messages[] = {
        { 0, WIRE_HELLO, sizeof(struct wire_hello), 0, 0 },
        { 0, WIRE_FRAME_OUTPUTS_GET, sizeof(struct wire_plain), 0, 0 },
        { 0, WIRE_FRAME_NEXT, sizeof(struct wire_frame_next), 0, 0 },
        { 1, WIRE_HELLO, sizeof(struct wire_hello), 0, 0 },
        { 1, WIRE_CONTROL_GRANT, sizeof(struct wire_control_grant), 0, 0, &grant },
        { 1, WIRE_CONTROL_REVOKE, sizeof(struct wire_plain), 0, 0 },
        { 1, WIRE_CONTROL_STATUS_GET, sizeof(struct wire_plain), 0, 0 },
};
const size_t wire_n_messages = ELEMENTSOF(wire_messages);
const uint64_t wire_wait = 0;

static Capd capd;

void wire_target_open(WireTarget *target) {
        char paths[2][64];

        capd = (Capd){};
        for (int i = 0; i < 2; i++)
                snprintf(paths[i], sizeof(paths[i]), "peer-%d-%d", (int) getpid(), i);
        capd.frames = (Peer){ "uploadd", .uid = geteuid(), .listen_fd = wire_driver_listen(paths[0]) };
        capd.control = (Peer){ "brokerd", .uid = geteuid(), .listen_fd = wire_driver_listen(paths[1]) };
        if (sd_event_new(&capd.event) < 0 || frames_listen(&capd) < 0 || control_listen(&capd) < 0)
                abort();
        for (int i = 0; i < 2; i++) {
                target->peers[i] = wire_driver_connect(paths[i]);
                (void) unlink(paths[i]);
        }
        target->event = capd.event;
        wire_driver_run(target->event, 0);
}

void wire_target_close(WireTarget *target) {
        for (int i = 0; i < 2; i++)
                close(target->peers[i]);
        wire_driver_run(target->event, 0);
        peer_close(&capd.frames);
        peer_close(&capd.control);
        sd_event_unref(capd.event);
}
