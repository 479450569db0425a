/* SPDX-License-Identifier: Apache-2.0 */

/* control.sock: brokerd says what uploadd may see, and until when. Its disconnecting changes nothing, so
 * that it can be restarted during a recording: the grant ends by itself unless it is renewed. */

#include "capd.h"
#include "log.h"

static int control_status(Capd *capd, WireConnection *connection) {
        struct wire_control_status status = {
                .type = WIRE_CONTROL_STATUS,
                .n_cards = (uint32_t) capd->n_cards,
                .last_reason = capd->last_reason,
                .grant_expires = grant_expires(&capd->grant, capd_now()),
                .frames = capd->n_frames,
                .refusals = capd->n_refusals,
        };

        for (size_t i = 0; i < GRANT_OUTPUTS; i++)
                status.n_outputs += capd->outputs.outputs[i].active;
        return wire_connection_send(connection, &status, sizeof(status), NULL, 0);
}

static int on_grant(WireConnection *connection, const void *message, int *fds _unused_,
                    size_t n_fds _unused_, void *userdata) {
        Capd *capd = ((Peer *) userdata)->userdata;
        int r;

        r = grant_set(&capd->grant, message, capd_now());
        if (r < 0 && r != -ETIME)
                return r;
        return control_status(capd, connection);
}

static int on_revoke(WireConnection *connection, const void *message _unused_, int *fds _unused_,
                     size_t n_fds _unused_, void *userdata) {
        Capd *capd = ((Peer *) userdata)->userdata;

        grant_revoke(&capd->grant);
        return control_status(capd, connection);
}

static int on_status_get(WireConnection *connection, const void *message _unused_, int *fds _unused_,
                         size_t n_fds _unused_, void *userdata) {
        Capd *capd = ((Peer *) userdata)->userdata;
        int r;

        r = capd_enumerate(capd);
        if (r < 0)
                return r;
        return control_status(capd, connection);
}

static int on_rescan(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                     size_t n_fds _unused_, void *userdata) {
        Capd *capd = ((Peer *) userdata)->userdata;
        const struct wire_control_rescan *rescan = message;

        if (rescan->cards > 1)
                return -EBADMSG;
        if (rescan->cards && rescan->time > capd->opened) {
                log_notice("Graphics cards have changed: starting anew to open them.");
                return sd_event_exit(capd->event, 0);
        }
        frames_tell_outputs(capd);
        return 0;
}

static const WireRule control_rules[] = {
        { "GRANT", WIRE_CONTROL_GRANT, sizeof(struct wire_control_grant), 0, 0, WIRE_STATE_READY, on_grant },
        { "REVOKE", WIRE_CONTROL_REVOKE, sizeof(struct wire_plain), 0, 0, WIRE_STATE_READY, on_revoke },
        { "STATUS_GET", WIRE_CONTROL_STATUS_GET, sizeof(struct wire_plain), 0, 0, WIRE_STATE_READY,
          on_status_get },
        { "RESCAN", WIRE_CONTROL_RESCAN, sizeof(struct wire_control_rescan), 0, 0, WIRE_STATE_READY,
          on_rescan },
};

int control_listen(Capd *capd) {
        return peer_listen(&capd->control, capd->event, control_rules, ELEMENTSOF(control_rules), capd);
}
