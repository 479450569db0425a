/* SPDX-License-Identifier: Apache-2.0 */

/* capd's two receivers, frame.sock and control.sock, with everything behind them, down to two cards that are
 * not real: one flips after it was asked for a frame, the other exports nothing and flips while it is
 * copied.
 */

#include <stdlib.h>

#include "fake-cards.h"
#include "wire-driver.h"
#include "wire.h"

static const struct wire_hello hello = { .version = WIRE_VERSION };
/* Within a minute of the driver's time. */
static const struct wire_control_grant grant = { .outputs = UINT64_MAX,
                                                 .min_interval = WIRE_GRANT_INTERVAL_MIN,
                                                 .expires = UINT64_C(4000000050000000000) };

static const struct wire_frame_confirm confirm = { .sequence = 1 };
static const struct wire_frame_next next_other = { .output = 1 };
static const struct wire_frame_confirm confirm_other = { .output = 1, .sequence = 2 };

const WireMessage wire_messages[] = {
        { 0, WIRE_FRAME_OUTPUTS_GET, sizeof(struct wire_plain), 0, 0, NULL, 0 },
        { 0, WIRE_FRAME_NEXT, sizeof(struct wire_frame_next), 0, 0, NULL, 4 },
        { 1, WIRE_CONTROL_GRANT, sizeof(struct wire_control_grant), 0, 0, &grant, 4 },
        { 0, WIRE_FRAME_NEXT, sizeof(struct wire_frame_next), 0, 0, NULL, 4 },
        { 0, WIRE_FRAME_CONFIRM, sizeof(struct wire_frame_confirm), 0, 0, &confirm, 4 },
        { 0, WIRE_FRAME_NEXT, sizeof(struct wire_frame_next), 0, 0, &next_other, 4 },
        { 0, WIRE_FRAME_CONFIRM, sizeof(struct wire_frame_confirm), 0, 0, &confirm_other, 4 },
        { 1, WIRE_CONTROL_STATUS_GET, sizeof(struct wire_plain), 0, 0, NULL, 0 },
        { 1, WIRE_CONTROL_REVOKE, sizeof(struct wire_plain), 0, 0, NULL, 0 },
        { 0, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
        { 1, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
        { 1, WIRE_CONTROL_RESCAN, sizeof(struct wire_control_rescan), 0, 0, NULL, 4 },
};
const size_t wire_n_messages = ELEMENTSOF(wire_messages);

sd_event *wire_target_open(void) {
        if (fake_setup(NULL) < 0)
                abort();
        fakes[0].flips_at = DRM_IOCTL_GEM_CLOSE;
        fakes[1].fails = DRM_IOCTL_PRIME_HANDLE_TO_FD;
        fakes[1].error = ENOSYS;
        fakes[1].flips_at = DRM_IOCTL_MODE_MAP_DUMB;
        fakes[0].n_flips = fakes[1].n_flips = 6;
        capd.grant = (Grant){};
        capd.frames.listen_fd = wire_driver_listen(0);
        capd.control = (Peer){ "brokerd", .listen_fd = wire_driver_listen(1) };
        if (frames_listen(&capd) < 0 || control_listen(&capd) < 0)
                abort();
        return capd.event;
}

void wire_target_close(void) {
        peer_close(&capd.control);
        (void) fake_teardown(NULL);
}
