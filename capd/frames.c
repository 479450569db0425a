/* SPDX-License-Identifier: Apache-2.0 */

/* frame.sock: uploadd asks, and is given a frame or a reason why not. */

#include "capd.h"
#include "log.h"

/* How often a frame is begun anew because the outputs changed under it, or a plane flipped. */
#define CAPTURE_TRIES 8
/* How often a frame may be taken again that a page flip has torn. */
#define AGAIN_MAX 2U

static int frames_none(Capd *capd, WireConnection *connection, struct wire_frame_none *none) {
        none->type = WIRE_FRAME_NONE;
        if (none->reason != WIRE_REASON_NO_FLIP) {
                capd->n_refusals++;
                capd->last_reason = none->reason;
        }
        return wire_connection_send(connection, none, sizeof(*none), NULL, 0);
}

/* As capture(), of what the output is by now. WIRE_REASON_TOO_SOON: it does not hold still. */
static int frames_capture(Capd *capd, uint32_t output, uint64_t last_identity, Frame *ret) {
        unsigned torn = 0;

        for (int try = 0; try < CAPTURE_TRIES; try++) {
                const Output *o = &capd->outputs.outputs[output];
                int r;

                frame_close(ret);
                r = o->active ? capture(o, last_identity, ret) : -ESTALE;
                /* A copy takes long: on a screen that flips all the time no one would be whole. */
                if (r == -EAGAIN || (r == WIRE_REASON_NONE && ret->torn && torn++ < AGAIN_MAX))
                        continue;
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
        return WIRE_REASON_TOO_SOON;
}

/* What no other output could do without either: 0 if it is only this one's trouble. */
static int frames_fatal(Capd *capd, int error) {
        if (error == -ENODEV) {
                log_notice("A graphics card is gone: starting anew to see which there are.");
                sd_event_exit(capd->event, 0);
                return error;
        }
        if (error == -EPERM) {
                log_error_errno(error,
                                "The kernel gives no handles of framebuffers: capd needs CAP_SYS_ADMIN in the "
                                "initial user namespace (AmbientCapabilities=CAP_SYS_ADMIN, and no "
                                "PrivateUsers=).");
                sd_event_exit(capd->event, error);
                return error;
        }
        return 0;
}

/* Notes why an output cannot be read, and says so once. */
static void frames_note(Capd *capd, uint32_t output, int error) {
        const Output *o = &capd->outputs.outputs[output];

        if (error < 0 && error != capd->given[output].error)
                log_warning_errno(error, "Cannot read the screen of output %u, on card%u (%s): %m", output,
                                  o->card->minor, o->card->driver);
        capd->given[output].error = error < 0 ? error : 0;
}

static int on_next(WireConnection *connection, const void *message, int *fds _unused_, size_t n_fds _unused_,
                   void *userdata) {
        Capd *capd = ((Peer *) userdata)->userdata;
        const struct wire_frame_next *next = message;
        struct wire_frame_none none = { .output = next->output };
        _cleanup_(frame_close) Frame frame = {};
        uint64_t now = capd_now();
        Given *given;
        int r;

        r = (int) grant_check(&capd->grant, next->output, now, &none.not_before);
        if (r == WIRE_REASON_NONE) {
                r = frames_capture(capd, next->output, next->last_identity, &frame);
                if (r < 0 && frames_fatal(capd, r) < 0)
                        return r;
                frames_note(capd, next->output, r);
                if (r < 0)
                        r = WIRE_REASON_UNDECODABLE;
        }
        /* The kernel may have held capd up behind a modeset: a frame counts when it leaves. */
        if (r == WIRE_REASON_NONE) {
                now = capd_now();
                r = (int) grant_check(&capd->grant, next->output, now, &none.not_before);
        }
        if (r != WIRE_REASON_NONE) {
                none.reason = (uint32_t) r;
                /* When something flips is told no oftener than how it looks: it says when somebody types. */
                if (r == WIRE_REASON_NO_FLIP)
                        grant_served(&capd->grant, next->output, now);
                if (r == WIRE_REASON_TOO_SOON && none.not_before == 0)
                        none.not_before = grant_later(&capd->grant, now);
                if (r == WIRE_REASON_UNDECODABLE) {
                        none.format = frame.format;
                        none.modifier = frame.modifier;
                }
                return frames_none(capd, connection, &none);
        }

        frame.message.output = next->output;
        frame.message.sequence = capd->n_frames + 1;
        frame.message.time = now;
        r = wire_connection_send(connection, &frame.message, sizeof(frame.message), frame.memory.fds,
                                 frame.memory.n);
        if (r < 0)
                return r;
        capd->n_frames++;
        grant_served(&capd->grant, next->output, now);
        given = &capd->given[next->output];
        given->sequence = frame.message.sequence;
        given->copied = frame.message.memory == WIRE_MEMORY_MEMFD;
        given->torn = frame.torn;
        given->shown = frame.shown;
        return 0;
}

/* Whether any of the planes has flipped since the frame was given out, or may have. */
static int frames_flipped(Capd *capd, uint32_t output) {
        const Output *o = &capd->outputs.outputs[output];
        const Given *given = &capd->given[output];
        int r;

        if (given->copied)
                return given->torn;
        r = o->active ? capture_confirm(o, &given->shown) : -EAGAIN;
        if (r < 0 && frames_fatal(capd, r) < 0)
                return r;
        return r < 0;
}

static int on_confirm(WireConnection *connection, const void *message, int *fds _unused_,
                      size_t n_fds _unused_, void *userdata) {
        Capd *capd = ((Peer *) userdata)->userdata;
        const struct wire_frame_confirm *confirm = message;
        struct wire_frame_confirmed answer = { WIRE_FRAME_CONFIRMED, confirm->output, confirm->sequence,
                                               WIRE_WHOLE, 0 };
        Given *given;
        int r;

        if (confirm->output >= GRANT_OUTPUTS)
                return -EBADMSG;
        given = &capd->given[confirm->output];
        if (given->sequence == 0 || given->sequence != confirm->sequence)
                return -EPROTO;
        r = frames_flipped(capd, confirm->output);
        if (r < 0)
                return r;
        given->sequence = 0;
        if (r == 0)
                given->again = 0;
        else if (!given->copied && given->again < AGAIN_MAX) {
                given->again++;
                grant_again(&capd->grant, confirm->output);
                answer.whole = WIRE_AGAIN;
        } else {
                given->again = 0;
                answer.whole = WIRE_TORN;
        }
        return wire_connection_send(connection, &answer, sizeof(answer), NULL, 0);
}

static int frames_send_outputs(Capd *capd, WireConnection *connection) {
        struct wire_outputs outputs;
        int r;

        r = capd_enumerate(capd);
        if (r < 0)
                return r;
        outputs_describe(&capd->outputs, &outputs);
        return wire_connection_send(connection, &outputs, sizeof(outputs), NULL, 0);
}

static int on_outputs_get(WireConnection *connection, const void *message _unused_, int *fds _unused_,
                          size_t n_fds _unused_, void *userdata) {
        return frames_send_outputs(((Peer *) userdata)->userdata, connection);
}

void frames_tell_outputs(Capd *capd) {
        WireConnection *connection = capd->frames.connection;

        /* A peer that does not read is given up when it asks. */
        if (connection && wire_connection_state(connection) == WIRE_STATE_READY)
                (void) frames_send_outputs(capd, connection);
}

static const WireRule frames_rules[] = {
        { "OUTPUTS_GET", WIRE_FRAME_OUTPUTS_GET, sizeof(struct wire_plain), 0, 0, WIRE_STATE_READY,
          on_outputs_get },
        { "NEXT", WIRE_FRAME_NEXT, sizeof(struct wire_frame_next), 0, 0, WIRE_STATE_READY, on_next },
        { "CONFIRM", WIRE_FRAME_CONFIRM, sizeof(struct wire_frame_confirm), 0, 0, WIRE_STATE_READY,
          on_confirm },
};

int frames_listen(Capd *capd) {
        return peer_listen(&capd->frames, capd->event, frames_rules, ELEMENTSOF(frames_rules), capd);
}
