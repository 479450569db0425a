/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <stdarg.h>
#include <string.h>

#include "broker.h"
#include "clock.h"
#include "frame-problem.h"
#include "log.h"
#include "modifier-name.h"
#include "names.h"
#include "recording.h"
#include "watchdog.h"

#define OUTPUTS_INTERVAL UINT64_C(5000000) /* µs between looks for a new display */
#define ANSWER_TIMEOUT   UINT64_C(5000000)
#define UNFINISHED_AFTER UINT64_C(1000000) /* of waiting for rendering, each time in vain */
#define TOO_SOON_MAX     10U               /* in a row: the first one tells when to ask again */
/* A screen on which nothing has changed for IDLE_AFTER is looked at only so often, and every other time only
 * for page flips: see docs/capture.md. */
#define IDLE_AFTER    UINT64_C(2000000)
#define IDLE_INTERVAL UINT64_C(500000)
#define OUTPUT_IDS    64U

/* What is known of an output. Times are CLOCK_BOOTTIME in µs. */
typedef struct CaptureOutput {
        uint32_t capd_id; /* what capd calls it */
        bool listed;
        uint32_t index; /* into outputs, if listed */
        uint64_t asked; /* when a frame was asked for that has not been recorded; 0: none is awaited */
        uint64_t drawn; /* the sequence of the one that capd is to say is whole; 0: none. That one: */
        DrawnFrame frame;
        FrameProblem drawing;
        uint64_t not_before;
        uint64_t identity;   /* of the last frame, 0: the last answer was none */
        uint64_t changed;    /* when it last showed anything new */
        uint64_t looked;     /* when it was last asked for */
        bool for_flips;      /* then only whether anything has flipped */
        uint32_t reason;     /* of the last answer, enum wire_reason */
        uint64_t owed;       /* watchdog_now() since when an answer or a gap is due, 0: none is */
        uint32_t n_too_soon; /* in a row */
        uint64_t late;       /* since when rendering has not been done in time, 0: it was */
        char problem[160];   /* "" if its last frame could be recorded */
} CaptureOutput;

struct Capture {
        Uploadd *uploadd;
        Peer peer;
        sd_event_source *timer;
        struct wire_outputs outputs;
        bool has_outputs;
        uint64_t outputs_asked;
        uint64_t connected; /* when this connection to capd was made */
        uint64_t beat;      /* watchdog_now() of the last look for what is to be asked */
        uint64_t started;   /* when recording began, or went on */
        /* By what recordings call an output: its connector, whose name is here, for as long as this process
         * runs. capd counts outputs anew when it is started anew. */
        CaptureOutput ids[OUTPUT_IDS];
        char names[OUTPUT_IDS][sizeof(((struct wire_output *) NULL)->name)];
        uint32_t reason, format; /* of the last answer */
        uint64_t modifier;
        char problem[160]; /* of all outputs */
};

/* What a person is told of NO_FRAME, and what is recorded. No text: it is as it should be. */
static const struct {
        enum segment_gap gap;
        const char *text;
} reasons[] = {
        [WIRE_REASON_NO_GRANT] = { SEGMENT_GAP_NO_GRANT, "" },
        [WIRE_REASON_TOO_SOON] = { SEGMENT_GAP_NO_CAPTURE,
                                   "no picture of it can be taken: it does not hold still" },
        [WIRE_REASON_OFF] = { SEGMENT_GAP_OFF, "" },
        [WIRE_REASON_UNFINISHED] = { SEGMENT_GAP_UNFINISHED,
                                     "its graphics card has not finished drawing the picture for more than a "
                                     "second; see the kernel's log" },
        [WIRE_REASON_UNPLUGGED] = { SEGMENT_GAP_UNPLUGGED, "" },
        [WIRE_REASON_UNDECODABLE] = { SEGMENT_GAP_UNDECODABLE,
                                      "its framebuffer cannot be read; see the journal of streamsight-capd" },
};

static void set_problem(Capture *capture, char *problem, const char *name, const char *format, ...)
                _printf_(4, 5);

/* Notes what hinders recording, and says so once. */
static void set_problem(Capture *capture, char *problem, const char *name, const char *format, ...) {
        char text[160];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (strcmp(problem, text) == 0)
                return;
        strcpy(problem, text);
        if (text[0])
                log_warning("%s%s%s", name, name[0] ? ": " : "", text);
        broker_changed(capture->uploadd->broker);
}

static const char *output_name(const Capture *capture, uint32_t id) {
        const CaptureOutput *output = &capture->ids[id];
        return output->listed ? capture->outputs.outputs[output->index].name : "an output";
}

static bool wanted(const Capture *capture, uint32_t id) {
        const Recording *recording = capture->uploadd->recording;
        return recording && !recording_held(recording) &&
               recording_outputs(recording) & UINT64_C(1) << capture->ids[id].capd_id;
}

static void ask_outputs(Capture *capture) {
        const struct wire_plain get = { .type = WIRE_FRAME_OUTPUTS_GET };

        capture->outputs_asked = boottime_now();
        (void) peer_send(&capture->peer, &get, sizeof(get));
}

static bool idle(const Capture *capture, uint32_t id, uint64_t now) {
        return now - capture->ids[id].changed >= IDLE_AFTER &&
               recording_interval(capture->uploadd->recording) < IDLE_INTERVAL;
}

static void send_next(Capture *capture, uint32_t id, uint64_t last_identity, uint64_t now) {
        CaptureOutput *output = &capture->ids[id];
        const struct wire_frame_next next = { WIRE_FRAME_NEXT, output->capd_id, last_identity };

        output->looked = now;
        output->for_flips = last_identity != 0;
        if (peer_send(&capture->peer, &next, sizeof(next)) >= 0)
                output->asked = now;
}

static const char silent[] = "the capture service does not answer; see 'systemctl status streamsight-capd'";

static void ask_frame(Capture *capture, uint32_t id, uint64_t now) {
        CaptureOutput *output = &capture->ids[id];
        bool is_idle = idle(capture, id, now);

        if (output->owed == 0)
                output->owed = watchdog_now();
        if (output->asked > 0) {
                if (now - output->asked > ANSWER_TIMEOUT) {
                        set_problem(capture, output->problem, output_name(capture, id), "%s", silent);
                        recording_gap_since(capture->uploadd, id, SEGMENT_GAP_NO_CAPTURE, output->asked);
                        output->owed = 0;
                }
                return;
        }
        /* At the nearest beat, for none is exact. */
        uint64_t since = now - output->looked + recording_interval(capture->uploadd->recording) / 2;
        if (now < output->not_before || (is_idle && since < IDLE_INTERVAL))
                return;
        send_next(capture, id, is_idle && !output->for_flips ? output->identity : 0, now);
}

static void owe_nothing(Capture *capture) {
        for (uint32_t id = 0; id < OUTPUT_IDS; id++)
                capture->ids[id].owed = 0;
}

/* Why these outputs show nothing. */
static enum segment_gap dark_gap(const struct wire_outputs *outputs, uint64_t which) {
        return outputs->asleep & which ? SEGMENT_GAP_OFF : SEGMENT_GAP_UNPLUGGED;
}

static void ask_all(Capture *capture, uint64_t now) {
        enum segment_gap held = recording_held(capture->uploadd->recording);

        if (held) {
                set_problem(capture, capture->problem, "", "%s", "");
                recording_gap(capture->uploadd, SEGMENT_OUTPUT_ALL, held, 0, 0);
                owe_nothing(capture);
                return;
        }
        if (!capture->peer.connection) {
                set_problem(capture, capture->problem, "",
                            "the capture service cannot be reached; see 'systemctl status streamsight-capd'");
                recording_gap(capture->uploadd, SEGMENT_OUTPUT_ALL, SEGMENT_GAP_NO_CAPTURE, 0, 0);
                owe_nothing(capture);
                return;
        }
        if (!recording_ready(capture->uploadd)) {
                set_problem(capture, capture->problem, "",
                            "recording pauses: %u finished segments (%" PRIu64
                            " MiB) wait for upload; see why the last upload failed",
                            capture->uploadd->segments.count, capture->uploadd->segments.bytes >> 20);
                owe_nothing(capture);
                return;
        }
        bool is_silent = !capture->has_outputs && now - capture->connected > ANSWER_TIMEOUT;
        if (capture->outputs.n_left_out > 0)
                set_problem(capture, capture->problem, "",
                            "%u displays are not recorded: there are more than %u of them",
                            capture->outputs.n_left_out, WIRE_OUTPUTS_MAX);
        else
                set_problem(capture, capture->problem, "", "%s", is_silent ? silent : "");
        if (is_silent)
                recording_gap(capture->uploadd, SEGMENT_OUTPUT_ALL, SEGMENT_GAP_NO_CAPTURE, 0, 0);
        /* At the nearest beat. */
        if (now - capture->outputs_asked + IDLE_INTERVAL >= OUTPUTS_INTERVAL)
                ask_outputs(capture);
        if (capture->has_outputs && capture->outputs.n_outputs == 0)
                recording_gap(capture->uploadd, SEGMENT_OUTPUT_ALL, dark_gap(&capture->outputs, UINT64_MAX),
                              0, 0);
        if (now < recording_due(capture->uploadd->recording)) {
                owe_nothing(capture);
                return;
        }
        for (uint32_t id = 0; id < OUTPUT_IDS; id++)
                if (capture->ids[id].listed && wanted(capture, id))
                        ask_frame(capture, id, now);
}

static int set_timer(Capture *capture, uint64_t time) {
        int r = sd_event_source_set_time(capture->timer, time);
        return r < 0 ? r : sd_event_source_set_enabled(capture->timer, SD_EVENT_ONESHOT);
}

/* Until the next beat. Where there is nothing to be looked at, something else than a beat ends that: capd,
 * or brokerd. */
static uint64_t beat(const Capture *capture, uint64_t now) {
        uint64_t longest = OUTPUTS_INTERVAL, least = recording_interval(capture->uploadd->recording);

        for (uint32_t id = 0; id < OUTPUT_IDS; id++)
                if (capture->ids[id].listed && wanted(capture, id)) {
                        if (!idle(capture, id, now))
                                return least;
                        longest = IDLE_INTERVAL;
                }
        return longest > least ? longest : least;
}

static int on_timer(sd_event_source *source _unused_, uint64_t scheduled, void *userdata) {
        Capture *capture = userdata;
        uint64_t now = boottime_now();

        capture->beat = watchdog_now();
        if (!capture->uploadd->recording) {
                owe_nothing(capture);
                capture->problem[0] = '\0';
                return 0;
        }
        /* A fixed beat, unless it was missed. */
        uint64_t next = scheduled + beat(capture, now);
        int r = set_timer(capture, next > now ? next : now + beat(capture, now));
        if (r < 0)
                return r;
        ask_all(capture, now);
        return 0;
}

void capture_start(Capture *capture) {
        for (uint32_t id = 0; id < OUTPUT_IDS; id++) {
                capture->ids[id].not_before = capture->ids[id].late = capture->ids[id].owed = 0;
                capture->ids[id].changed = boottime_now();
                /* It was drawn for the recording before. */
                capture->ids[id].frame = (DrawnFrame){};
        }
        capture->beat = watchdog_now();
        capture->started = boottime_now();
        int r = set_timer(capture, capture->started);
        if (r < 0)
                sd_event_exit(capture->uploadd->event, log_error_errno(r, "Cannot set a timer: %m"));
}

const char *capture_stuck(const Capture *capture, uint64_t patience) {
        uint64_t now = watchdog_now();

        if (!capture->uploadd->recording)
                return NULL;
        if (now - capture->beat > patience + beat(capture, boottime_now()))
                return "nothing looks for the next frame";
        for (uint32_t id = 0; id < OUTPUT_IDS; id++)
                if (capture->ids[id].owed != 0 && now - capture->ids[id].owed > patience)
                        return "an output has neither a frame nor a gap";
        return NULL;
}

static void on_up(Peer *peer _unused_, void *userdata) {
        Capture *capture = userdata;

        ask_outputs(capture);
        capture->connected = capture->outputs_asked;
}

static void on_down(Peer *peer _unused_, void *userdata) {
        Capture *capture = userdata;

        capture->has_outputs = false;
        capture->outputs = (struct wire_outputs){};
        memset(capture->ids, 0, sizeof(capture->ids));
        broker_changed(capture->uploadd->broker);
        /* What it showed may be gone before it is here again. */
        if (capture->uploadd->recording)
                capture_start(capture);
}

/* What recordings call an output, which is what capd does unless that is another's. OUTPUT_IDS: there is no
 * more left. */
static uint32_t output_id(Capture *capture, const struct wire_output *output, const bool *listed) {
        for (uint32_t id = 0; id < OUTPUT_IDS; id++)
                if (!listed[id] && strcmp(capture->names[id], output->name) == 0)
                        return id;
        for (uint32_t i = 0; i < OUTPUT_IDS; i++) {
                uint32_t id = (output->id + i) % OUTPUT_IDS;
                if (!capture->names[id][0]) {
                        strcpy(capture->names[id], output->name);
                        return id;
                }
        }
        return OUTPUT_IDS;
}

/* Finds which outputs are listed, and calls them there as recordings do. */
static int outputs_translate(Capture *capture, struct wire_outputs *outputs, bool *listed) {
        uint64_t capd_ids = 0;

        if (outputs->n_outputs > WIRE_OUTPUTS_MAX)
                return -EBADMSG;
        for (uint32_t i = 0; i < outputs->n_outputs; i++) {
                struct wire_output *output = &outputs->outputs[i];
                if (output->id >= OUTPUT_IDS || capd_ids & UINT64_C(1) << output->id ||
                    !wire_string_ok(output->name, sizeof(output->name)) || !output->name[0] ||
                    !wire_string_ok(output->driver, sizeof(output->driver)))
                        return -EBADMSG;
                capd_ids |= UINT64_C(1) << output->id;
                uint32_t id = output_id(capture, output, listed);
                if (id == OUTPUT_IDS)
                        return -ENOSPC;
                listed[id] = true;
                capture->ids[id].index = i;
                capture->ids[id].capd_id = output->id;
                output->id = id;
        }
        return 0;
}

static int on_outputs(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                      size_t n_fds _unused_, void *userdata) {
        Capture *capture = ((Peer *) userdata)->userdata;
        struct wire_outputs outputs = *(const struct wire_outputs *) message;
        bool listed[OUTPUT_IDS] = {};
        int r;

        r = outputs_translate(capture, &outputs, listed);
        if (r == -ENOSPC) {
                log_notice("There have been displays of more than %u names: starting anew, to number them.",
                           OUTPUT_IDS);
                return uploadd_stop(capture->uploadd);
        }
        if (r < 0)
                return r;
        for (uint32_t id = 0; id < OUTPUT_IDS; id++) {
                if (capture->ids[id].listed && !listed[id]) {
                        /* What it was asked for will still be answered. */
                        capture->ids[id] = (CaptureOutput){ .capd_id = capture->ids[id].capd_id,
                                                            .asked = capture->ids[id].asked,
                                                            .drawn = capture->ids[id].drawn };
                        if (wanted(capture, id))
                                recording_gap(capture->uploadd, id,
                                              dark_gap(&outputs, UINT64_C(1) << capture->ids[id].capd_id), 0,
                                              0);
                }
                if (!listed[id])
                        recording_forget(capture->uploadd, id);
                capture->ids[id].listed = listed[id];
        }

        bool changed = !capture->has_outputs || memcmp(&capture->outputs, &outputs, sizeof(outputs)) != 0;
        capture->outputs = outputs;
        capture->has_outputs = true;
        if (changed) {
                broker_changed(capture->uploadd->broker);
                if (capture->uploadd->recording)
                        capture_start(capture);
        }
        return 0;
}

/* An answer is for an output that was asked for: to NEXT, or to CONFIRM. */
static CaptureOutput *answered(Capture *capture, uint32_t capd_id, bool confirmed, uint32_t *ret_id) {
        for (uint32_t id = 0; id < OUTPUT_IDS; id++) {
                CaptureOutput *output = &capture->ids[id];
                if (output->asked > 0 && output->capd_id == capd_id && (output->drawn != 0) == confirmed) {
                        output->asked = output->owed = 0;
                        *ret_id = id;
                        return output;
                }
        }
        return NULL;
}

/* What a person is told of NONE. */
static void none_text(const struct wire_frame_none *none, char *text, size_t size) {
        char format[5], modifier[MODIFIER_NAME_MAX];

        if (none->reason == WIRE_REASON_UNDECODABLE && none->format != 0) {
                format_name(none->format, format);
                modifier_name(none->modifier, modifier, sizeof(modifier));
                snprintf(text, size, "its framebuffer, format %s with %s, cannot be given out", format,
                         modifier);
        } else
                snprintf(text, size, "%s", reasons[none->reason].text);
}

static void set_reason(Capture *capture, uint32_t reason, uint32_t format, uint64_t modifier) {
        if (capture->reason != reason || capture->format != format || capture->modifier != modifier)
                broker_changed(capture->uploadd->broker);
        capture->reason = reason;
        capture->format = format;
        capture->modifier = modifier;
}

/* Something new is to be seen: from now on it is looked at as often as was asked for. */
static void has_changed(Capture *capture, uint32_t id) {
        uint64_t now = boottime_now(), next, soon = now + recording_interval(capture->uploadd->recording);

        capture->ids[id].changed = now;
        if (sd_event_source_get_time(capture->timer, &next) >= 0 && soon < next)
                (void) set_timer(capture, soon);
}

static void set_answer(Capture *capture, uint32_t id, uint32_t reason) {
        if (capture->ids[id].reason != reason)
                has_changed(capture, id);
        capture->ids[id].reason = reason;
}

/* There is no picture now. */
static void no_frame(Capture *capture, uint32_t id, const struct wire_frame_none *none) {
        char text[160];

        recording_gap(capture->uploadd, id, reasons[none->reason].gap, none->format, none->modifier);
        capture->ids[id].identity = 0;
        set_answer(capture, id, none->reason);
        set_reason(capture, none->reason, none->format, none->modifier);
        none_text(none, text, sizeof(text));
        set_problem(capture, capture->ids[id].problem, output_name(capture, id), "%s", text);
}

/* Rendering has taken too long: the next frame may be in time. A card that hangs is a gap, for what it shows
 * is not what it was told to show. */
static void frame_late(Capture *capture, uint32_t id) {
        const struct wire_frame_none none = { .output = id, .reason = WIRE_REASON_UNFINISHED };
        CaptureOutput *output = &capture->ids[id];
        uint64_t now = boottime_now();

        if (output->late == 0)
                output->late = now;
        output->changed = now; /* for all one knows */
        if (now - output->late >= UNFINISHED_AFTER) {
                recording_gap_since(capture->uploadd, id, reasons[none.reason].gap, output->late);
                no_frame(capture, id, &none);
        }
}

/* Where a frame ends: it was recorded, or could not be. */
static void frame_done(Capture *capture, uint32_t id, const FrameProblem *problem) {
        uint32_t reason = problem->text[0] ? WIRE_REASON_UNDECODABLE : WIRE_REASON_NONE;

        set_answer(capture, id, reason);
        set_reason(capture, reason, problem->format, problem->modifier);
        set_problem(capture, capture->ids[id].problem, output_name(capture, id), "%s", problem->text);
}

static void frame_write(Capture *capture, uint32_t id, bool torn) {
        const CaptureOutput *output = &capture->ids[id];
        FrameProblem problem = output->drawing;

        if (recording_write(capture->uploadd, &output->frame, &capture->outputs.outputs[output->index], torn,
                            &problem))
                has_changed(capture, id);
        if (!idle(capture, id, boottime_now()))
                broker_counted(capture->uploadd->broker);
        frame_done(capture, id, &problem);
}

/* Asks capd whether a plane has flipped while the picture was read. */
static int frame_confirm(Capture *capture, CaptureOutput *output, const struct wire_frame *frame) {
        const struct wire_frame_confirm confirm = { WIRE_FRAME_CONFIRM, frame->output, frame->sequence };

        output->asked = boottime_now();
        output->drawn = frame->sequence;
        return peer_send(&capture->peer, &confirm, sizeof(confirm));
}

static int on_frame(WireConnection *connection _unused_, const void *message, int *fds, size_t n_fds,
                    void *userdata) {
        Capture *capture = ((Peer *) userdata)->userdata;
        const struct wire_frame *frame = message;
        uint32_t id;
        CaptureOutput *output = answered(capture, frame->output, false, &id);
        int r;

        if (!output)
                return -EPROTO;
        if (frame->n_fds != n_fds || frame->sequence == 0 || frame->pointer_missing > 1)
                return -EBADMSG;
        output->n_too_soon = 0;
        output->identity = frame->identity;
        /* What is no longer listed may have been asked for before. */
        if (!output->listed || !wanted(capture, id))
                return 0;
        r = recording_draw(capture->uploadd, id, frame, fds, &output->frame, &output->drawing);
        if (r == -ETIME) {
                frame_late(capture, id);
                return 0;
        }
        output->late = 0;
        if (r < 0)
                frame_done(capture, id, &output->drawing);
        else if (!output->frame.changed) /* a flip that came between has torn nothing */
                frame_write(capture, id, false);
        else
                (void) frame_confirm(capture, output, frame);
        return 0;
}

static int on_confirmed(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                        size_t n_fds _unused_, void *userdata) {
        Capture *capture = ((Peer *) userdata)->userdata;
        const struct wire_frame_confirmed *confirmed = message;
        uint32_t id;
        CaptureOutput *output = answered(capture, confirmed->output, true, &id);

        if (!output || output->drawn != confirmed->sequence)
                return -EPROTO;
        if (confirmed->whole < WIRE_WHOLE || confirmed->whole > WIRE_TORN)
                return -EBADMSG;
        output->drawn = 0;
        if (!wanted(capture, id) || output->frame.width == 0)
                return 0;
        if (confirmed->whole == WIRE_AGAIN)
                send_next(capture, id, 0, boottime_now());
        else
                frame_write(capture, id, confirmed->whole == WIRE_TORN);
        return 0;
}

static int on_none(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                   size_t n_fds _unused_, void *userdata) {
        Capture *capture = ((Peer *) userdata)->userdata;
        const struct wire_frame_none *none = message;
        uint32_t id;
        CaptureOutput *output = answered(capture, none->output, false, &id);
        uint64_t next;

        if (!output)
                return -EPROTO;
        if (none->reason == WIRE_REASON_NONE || none->reason >= _WIRE_REASON_MAX)
                return -EBADMSG;
        if (none->reason == WIRE_REASON_NO_FLIP)
                return output->for_flips ? 0 : -EPROTO;
        /* The grant that it was asked under has ended, and there is another one. */
        if (!wanted(capture, id) ||
            (none->reason == WIRE_REASON_NO_GRANT && output->looked < capture->started))
                return 0;
        if (none->reason == WIRE_REASON_TOO_SOON) {
                /* Rounded up, so as not to be too soon again. */
                output->not_before = none->not_before / 1000 + 1;
                if (++output->n_too_soon >= TOO_SOON_MAX)
                        no_frame(capture, id, none);
                if (output->not_before > boottime_now() &&
                    sd_event_source_get_time(capture->timer, &next) >= 0 && output->not_before < next)
                        return set_timer(capture, output->not_before);
                return 0;
        }
        output->late = output->n_too_soon = 0;
        no_frame(capture, id, none);
        return 0;
}

static const WireRule rules[] = {
        { "OUTPUTS", WIRE_FRAME_OUTPUTS, sizeof(struct wire_outputs), 0, 0, WIRE_STATE_READY, on_outputs },
        { "FRAME", WIRE_FRAME_FRAME, sizeof(struct wire_frame), 1, WIRE_FRAME_FDS_MAX, WIRE_STATE_READY,
          on_frame },
        { "NONE", WIRE_FRAME_NONE, sizeof(struct wire_frame_none), 0, 0, WIRE_STATE_READY, on_none },
        { "CONFIRMED", WIRE_FRAME_CONFIRMED, sizeof(struct wire_frame_confirmed), 0, 0, WIRE_STATE_READY,
          on_confirmed },
};

static const PeerKind kind = { "capd", STREAMSIGHT_DOMAIN_CAPD, true, rules, ELEMENTSOF(rules), on_up,
                               on_down };

int capture_new(Capture **ret, Uploadd *uploadd) {
        Capture *capture = calloc(1, sizeof(*capture));
        int r;

        if (!capture)
                return -ENOMEM;
        capture->uploadd = uploadd;
        r = sd_event_add_time(uploadd->event, &capture->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000, on_timer,
                              capture);
        if (r >= 0)
                r = peer_init(&capture->peer, &kind, uploadd->event, uploadd->settings.frame_socket,
                              capture);
        if (r < 0) {
                capture_free(capture);
                return r;
        }
        *ret = capture;
        return 0;
}

Capture *capture_free(Capture *capture) {
        if (!capture)
                return NULL;
        peer_done(&capture->peer);
        sd_event_source_disable_unref(capture->timer);
        free(capture);
        return NULL;
}

void capture_stats(const Capture *capture, struct wire_broker_stats *stats) {
        stats->n_outputs = capture->outputs.n_outputs;
        memcpy(stats->outputs, capture->outputs.outputs, sizeof(stats->outputs));
        stats->reason = capture->reason;
        if (capture->reason == WIRE_REASON_UNDECODABLE) {
                stats->format = capture->format;
                stats->modifier = capture->modifier;
        }
        if (!capture->uploadd->recording)
                return;
        if (capture->problem[0]) {
                snprintf(stats->text, sizeof(stats->text), "%s", capture->problem);
                return;
        }
        for (uint32_t id = 0; id < OUTPUT_IDS; id++)
                if (capture->ids[id].problem[0]) {
                        snprintf(stats->text, sizeof(stats->text), "%s: %s", output_name(capture, id),
                                 capture->ids[id].problem);
                        return;
                }
}
