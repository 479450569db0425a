/* SPDX-License-Identifier: Apache-2.0 */

/* frame.sock: uploadd asks, and is given a frame or a reason why not. */

#include "capd.h"
#include "capture.h"
#include "log.h"

/* How often a frame is begun anew because the outputs changed under it. */
#define CAPTURE_TRIES 3

static int frames_none(Capd *capd, WireConnection *connection, struct wire_frame_none *none) {
        none->type = WIRE_FRAME_NONE;
        capd->n_refusals++;
        capd->last_reason = none->reason;
        return wire_connection_send(connection, none, sizeof(*none), NULL, 0);
}

/* As capture(), of what the output is by now. */
static int frames_capture(Capd *capd, uint32_t output, Frame *ret) {
        for (int try = 0; try < CAPTURE_TRIES; try++) {
                const Output *o = &capd->outputs.outputs[output];
                int r = o->active ? capture(o, ret) : -ESTALE;

                if (r != -ESTALE)
                        return r;
                r = capd_enumerate(capd);
                if (r < 0)
                        return r;
                if (!o->connected)
                        return WIRE_REASON_UNPLUGGED;
                if (!o->active)
                        return WIRE_REASON_OFF;
        }
        return WIRE_REASON_OFF;
}

static int frames_failed(Capd *capd, int error) {
        if (error == -EPERM)
                log_error_errno(error,
                                "The kernel gives no handles of framebuffers: capd needs CAP_SYS_ADMIN in the "
                                "initial user namespace (AmbientCapabilities=CAP_SYS_ADMIN, and no "
                                "PrivateUsers=).");
        else
                log_error_errno(error, "Cannot read the screen, ending: %m");
        sd_event_exit(capd->event, error);
        return error;
}

static int on_next(WireConnection *connection, const void *message, int *fds _unused_, size_t n_fds _unused_,
                   void *userdata) {
        Capd *capd = ((Peer *) userdata)->userdata;
        const struct wire_frame_next *next = message;
        struct wire_frame_none none = { .output = next->output };
        _cleanup_(frame_close) Frame frame = {};
        uint64_t now = capd_now();
        int r;

        r = (int) grant_check(&capd->grant, next->output, now, &none.not_before);
        if (r == WIRE_REASON_NONE) {
                r = frames_capture(capd, next->output, &frame);
                if (r < 0)
                        return frames_failed(capd, r);
        }
        /* The kernel may have held capd up behind a modeset: a frame counts when it leaves. */
        if (r == WIRE_REASON_NONE) {
                now = capd_now();
                r = (int) grant_check(&capd->grant, next->output, now, &none.not_before);
        }
        if (r != WIRE_REASON_NONE) {
                none.reason = (uint32_t) r;
                if (r == WIRE_REASON_UNDECODABLE) {
                        none.format = frame.format;
                        none.modifier = frame.modifier;
                }
                return frames_none(capd, connection, &none);
        }

        frame.message.output = next->output;
        frame.message.sequence = capd->n_frames + 1;
        frame.message.time = now;
        r = wire_connection_send(connection, &frame.message, sizeof(frame.message), frame.dmabufs.fds,
                                 frame.dmabufs.n);
        if (r < 0)
                return r;
        capd->n_frames++;
        grant_served(&capd->grant, next->output, now);
        return 0;
}

static int on_outputs_get(WireConnection *connection, const void *message _unused_, int *fds _unused_,
                          size_t n_fds _unused_, void *userdata) {
        Capd *capd = ((Peer *) userdata)->userdata;
        struct wire_outputs outputs;
        int r;

        r = capd_enumerate(capd);
        if (r < 0)
                return r;
        outputs_describe(&capd->outputs, &outputs);
        return wire_connection_send(connection, &outputs, sizeof(outputs), NULL, 0);
}

static const WireRule frames_rules[] = {
        { "OUTPUTS_GET", WIRE_FRAME_OUTPUTS_GET, sizeof(struct wire_plain), 0, 0, WIRE_STATE_READY,
          on_outputs_get },
        { "NEXT", WIRE_FRAME_NEXT, sizeof(struct wire_frame_next), 0, 0, WIRE_STATE_READY, on_next },
};

int frames_listen(Capd *capd) {
        return peer_listen(&capd->frames, capd->event, frames_rules, ELEMENTSOF(frames_rules), capd);
}
