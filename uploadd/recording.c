/* SPDX-License-Identifier: Apache-2.0 */
#include "recording.h"

#include <string.h>

#include "agent-limits.h"
#include "broker.h"
#include "clock.h"
#include "cursor-layer.h"
#include "encoder.h"
#include "frame-reader.h"
#include "log.h"
#include "rate.h"

#define SEGMENT_SECONDS_MAX 3600U
#define SEGMENT_BYTES_MIN   65536U
#define INTERVAL_MAX        UINT64_C(3600000000000) /* ns */
#define SLEEP_MIN           UINT64_C(1000000)       /* µs: what is shorter is none */
#define STEP_MIN            UINT64_C(1000000) /* µs: as much as a clock that is set slowly may be off */

/* What the open segment holds of an output. */
typedef struct RecordingOutput {
        SegmentOutput declared; /* width 0: it is not yet */
        bool has_key;
        SegmentGap gap; /* the one in force, reason 0: none */
} RecordingOutput;

struct Recording {
        Uploadd *uploadd;
        RecordingEntry *entry;
        Encoder *encoder;
        CursorLayer *cursors;
        FrameReader *reader;
        struct wire_broker_record parameters;
        Rate rate;
        uint64_t cpu_start; /* of this thread, µs: when the work on a frame began that is under way */

        uint64_t asleep; /* how long the machine had slept since it was booted, at most: µs */
        uint64_t awake;  /* since when it no longer does, CLOCK_BOOTTIME µs */

        enum segment_gap hold; /* no pictures, for this reason; 0: pictures */

        bool ending; /* the segment that is cut next is the last */
        bool open;   /* there is an open segment: */
        SegmentWriter writer;
        uint64_t start_boottime, start_realtime; /* µs */
        bool has_coarse;                         /* it has JCOA */
        SegmentRate rate_written;                /* the last rATE in it */
        uint64_t charged;                        /* bytes of it that the ceiling knows of */
        RecordingOutput outputs[SEGMENT_OUTPUT_MAX];
        enum segment_gap gap_all; /* of all outputs, 0: none */
        sd_event_source *end;     /* its time is over */

        uint64_t unrecorded_since; /* CLOCK_BOOTTIME µs since when a segment could not be begun; 0: it could
                                    */
};

const uint8_t *recording_id(const Recording *recording) {
        return recording->parameters.recording;
}

uint64_t recording_outputs(const Recording *recording) {
        return recording->parameters.outputs;
}

uint64_t recording_interval(const Recording *recording) {
        return recording->parameters.frame_interval / 1000;
}

enum segment_gap recording_held(const Recording *recording) {
        return recording->hold;
}

uint64_t recording_due(const Recording *recording) {
        return recording->rate.next;
}

static uint64_t segment_time(const Recording *recording, uint64_t boottime) {
        return boottime > recording->start_boottime ? boottime - recording->start_boottime : 0;
}

static void segment_close(Recording *recording) {
        segment_writer_done(&recording->writer);
        recording->open = false;
        sd_event_source_set_enabled(recording->end, SD_EVENT_OFF);
}

/* From since on nothing could be recorded: the next segment will say so. */
static void segment_lost(Recording *recording, uint64_t since) {
        if (recording->unrecorded_since == 0 || since < recording->unrecorded_since)
                recording->unrecorded_since = since;
}

static void write_gap_of_all(Recording *recording, enum segment_gap reason, uint64_t boottime);

/* While the machine sleeps nothing is shown, and CLOCK_MONOTONIC stands still. */
static void segment_wake(Recording *recording) {
        uint64_t earlier = clock_now(CLOCK_MONOTONIC), now = boottime_now(),
                 later = clock_now(CLOCK_MONOTONIC), most = now - earlier;
        uint64_t least = now > later ? now - later : 0, before = recording->asleep;

        /* Of how long it has slept since it was booted, however long this process had to wait in between. */
        recording->asleep = most;
        if (least < before + SLEEP_MIN)
                return;
        recording->awake = now;
        if (recording->open && recording->gap_all == 0)
                write_gap_of_all(recording, SEGMENT_GAP_OFF, now - (least - before));
}

/* A gap of all outputs goes on in the next segment, which begins at once: nothing else may for a long time.
 * So does the time until a ceiling allows the next picture. */
static void segment_cut(Recording *recording) {
        Segment *segment;
        int r;

        segment_wake(recording);
        if (!recording->open)
                return;
        uint64_t now = boottime_now(), end_time = segment_time(recording, now);
        enum segment_gap gap = recording->gap_all;
        r = segment_writer_finish(&recording->writer, end_time);
        if (r >= 0)
                r = segments_add(&recording->uploadd->segments, recording->entry, &recording->writer,
                                 recording->start_realtime, recording->start_realtime + end_time,
                                 recording->ending, &segment);
        if (r < 0) {
                log_error_errno(r, "A segment of %" PRIu64 " ms is lost: %m", end_time / 1000);
                segment_lost(recording, recording->start_boottime);
        }
        segment_close(recording);
        if (r >= 0)
                broker_announce(recording->uploadd->broker, segment);
        if (recording->ending)
                return;
        if (gap)
                recording_gap(recording->uploadd, SEGMENT_OUTPUT_ALL, gap, 0, 0);
        else if (recording->rate.next > now + recording_interval(recording))
                segment_lost(recording, now);
}

/* To be called before anything of now is written: after a sleep, which is a gap, and when somebody has set
 * the clock, by which a segment's times are understood. */
static void segment_catch_up(Recording *recording) {
        segment_wake(recording);
        uint64_t begun = recording->start_realtime - recording->start_boottime,
                 now = realtime_now() - boottime_now();
        if (recording->open && (now - begun + STEP_MIN) > 2 * STEP_MIN) /* in either direction */
                segment_cut(recording);
}

static int set_end(Recording *recording, uint64_t now) {
        int r;

        r = sd_event_source_set_time(recording->end,
                                     now + recording->parameters.segment_seconds * UINT64_C(1000000));
        return r < 0 ? r : sd_event_source_set_enabled(recording->end, SD_EVENT_ONESHOT);
}

/* A segment in which there is nothing but that there is nothing goes on for an hour: a night's would fill
 * the queue where there is no network. */
static int on_end(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Recording *recording = userdata;
        uint64_t now = boottime_now();

        if (recording->gap_all && recording->writer.n_frames == 0 &&
            segment_time(recording, now) < SEGMENT_SECONDS_MAX * UINT64_C(1000000))
                return set_end(recording, now);
        segment_cut(recording);
        return 0;
}

static int segment_start(Recording *recording, uint64_t start_boottime) {
        SegmentHead head = {
                .sequence = recording->entry->n_segments,
                .software = "streamsight-uploadd " STREAMSIGHT_VERSION,
        };
        SegmentTables tables = encoder_tables(recording->encoder);
        uint64_t now = boottime_now();
        int r;

        head.start_realtime = realtime_now() - (now - start_boottime);
        memcpy(head.device, recording->parameters.device, sizeof(head.device));
        memcpy(head.recording, recording->parameters.recording, sizeof(head.recording));
        memcpy(head.previous_sha256, recording->entry->last_sha256, sizeof(head.previous_sha256));
        r = segment_writer_init(&recording->writer, &head);
        if (r < 0)
                return r;
        recording->open = true;
        recording->start_boottime = start_boottime;
        recording->start_realtime = head.start_realtime;
        recording->gap_all = 0;
        recording->has_coarse = false;
        recording->charged = 0;
        recording->rate_written = (SegmentRate){ .interval = recording->rate.limits.interval };
        memset(recording->outputs, 0, sizeof(recording->outputs));
        cursor_layer_restart(recording->cursors);

        r = segment_writer_tables(&recording->writer, tables.data, tables.size);
        if (r >= 0 && recording->uploadd->has_session)
                r = segment_writer_session(&recording->writer, &recording->uploadd->session);
        if (r >= 0)
                r = set_end(recording, now);
        if (r < 0)
                segment_close(recording);
        return r;
}

static int write_gap(Recording *recording, const SegmentGap *gap) {
        int r = segment_writer_gap(&recording->writer, gap);
        if (r == -EFBIG)
                segment_cut(recording);
        return r;
}

static void write_gap_of_all(Recording *recording, enum segment_gap reason, uint64_t boottime) {
        const SegmentGap gap = { SEGMENT_OUTPUT_ALL, reason, segment_time(recording, boottime), 0, 0 };

        if (recording->gap_all == reason || write_gap(recording, &gap) < 0)
                return;
        recording->gap_all = reason;
        for (uint32_t i = 0; i < SEGMENT_OUTPUT_MAX; i++)
                recording->outputs[i].gap = gap;
        /* Somebody may want to free it, or to see that nobody looks at it. */
        frame_forget(recording->reader);
}

/* Begins a segment if there is none, with the gap before it if there was one. */
static int segment_need(Recording *recording, uint64_t boottime, bool anyway) {
        const SegmentGap gap = { .output = SEGMENT_OUTPUT_ALL, .reason = SEGMENT_GAP_OVERLOAD };
        uint64_t start = boottime;
        int r;

        if (recording->open)
                return 0;
        r = anyway || segments_room(&recording->uploadd->segments, SEGMENT_SIZE_MAX) ? 0 : -ENOSPC;
        if (r >= 0) {
                if (recording->unrecorded_since > 0 && recording->unrecorded_since < start)
                        start = recording->unrecorded_since;
                r = segment_start(recording, start);
        }
        if (r < 0) {
                if (recording->unrecorded_since == 0)
                        log_warning_errno(r,
                                          "Recording pauses, since %u finished segments wait for upload: %m",
                                          recording->uploadd->segments.count);
                segment_lost(recording, boottime);
                return r;
        }
        if (recording->unrecorded_since > 0) {
                recording->unrecorded_since = 0;
                recording->gap_all = gap.reason;
                return write_gap(recording, &gap);
        }
        return 0;
}

bool recording_ready(Uploadd *uploadd) {
        Recording *recording = uploadd->recording;

        return recording->open || (segments_room(&uploadd->segments, SEGMENT_SIZE_MAX)) ||
               segment_need(recording, boottime_now(), false) >= 0;
}

static Recording *recording_free(Recording *recording) {
        if (!recording)
                return NULL;
        sd_event_source_disable_unref(recording->end);
        segment_writer_done(&recording->writer);
        encoder_free(recording->encoder);
        cursor_layer_free(recording->cursors);
        frame_reader_free(recording->reader);
        free(recording);
        return NULL;
}

DEFINE_CLEANUP(Recording *, recording_freep, recording_free)

static bool parameters_ok(const struct wire_broker_record *record) {
        return record->quality >= 1 && record->quality <= 100 &&
               record->frame_interval >= WIRE_GRANT_INTERVAL_MIN && record->frame_interval <= INTERVAL_MAX &&
               record->segment_seconds >= 1 && record->segment_seconds <= SEGMENT_SECONDS_MAX &&
               record->segment_bytes >= SEGMENT_BYTES_MIN && record->segment_bytes <= SEGMENT_SIZE_MAX &&
               record->bytes_per_minute <= CAPTURE_BYTES_PER_MINUTE_MAX &&
               record->cpu_ms_per_second <= CAPTURE_CPU_MS_PER_SECOND_MAX && record->hold < _WIRE_HOLD_MAX;
}

int recording_start(Uploadd *uploadd, const struct wire_broker_record *record) {
        _cleanup_(recording_freep) Recording *recording = NULL;
        int r;

        if (!parameters_ok(record))
                return -EINVAL;
        recording_end(uploadd);

        if (!(recording = calloc(1, sizeof(*recording))))
                return -ENOMEM;
        recording->uploadd = uploadd;
        recording->parameters = *record;
        segment_wake(recording);
        const RateLimits limits = { record->frame_interval / 1000, record->bytes_per_minute,
                                    record->cpu_ms_per_second };
        rate_init(&recording->rate, &limits, boottime_now());
        r = encoder_new(&recording->encoder, record->quality);
        if (r >= 0)
                r = cursor_layer_new(&recording->cursors);
        if (r >= 0)
                r = frame_reader_new(&recording->reader);
        if (r < 0)
                return r;
        r = sd_event_add_time(uploadd->event, &recording->end, CLOCK_BOOTTIME, UINT64_MAX, 10000, on_end,
                              recording);
        if (r < 0)
                return r;
        r = segments_recording(&uploadd->segments, record->recording, &recording->entry);
        if (r < 0)
                return r;
        recording->entry->ended = false;
        uploadd->recording = TAKE_PTR(recording);
        return 0;
}

void recording_end(Uploadd *uploadd) {
        Recording *recording = uploadd->recording;

        if (!recording)
                return;
        recording->ending = true;
        /* That nothing could be recorded is to be known, and where a recording ends: one that was cut at
         * this moment gets an empty segment, so that none of those before can be taken away unseen. Both
         * take little room. */
        if (recording->unrecorded_since > 0 || recording->entry->n_segments > 0)
                (void) segment_need(recording, boottime_now(), true);
        segment_cut(recording);
        recording->entry->ended = true;
        uploadd->recording = recording_free(recording);
}

void recording_flush(Uploadd *uploadd) {
        if (uploadd->recording)
                segment_cut(uploadd->recording);
}

void recording_hold(Uploadd *uploadd, enum segment_gap reason) {
        if (!uploadd->recording)
                return;
        uploadd->recording->hold = reason;
        if (reason)
                recording_gap(uploadd, SEGMENT_OUTPUT_ALL, reason, 0, 0);
}

void recording_session(Uploadd *uploadd) {
        Recording *recording = uploadd->recording;
        SegmentSession session = uploadd->session;

        if (!recording)
                return;
        segment_catch_up(recording);
        /* One that is not open will begin with it. */
        if (!recording->open || !uploadd->has_session)
                return;
        session.time = segment_time(recording, boottime_now());
        if (segment_writer_session(&recording->writer, &session) == -EFBIG)
                segment_cut(recording);
}

static void gap_from(Uploadd *uploadd, SegmentGap gap, uint64_t boottime) {
        Recording *recording = uploadd->recording;

        if (!recording)
                return;
        segment_catch_up(recording);
        frame_close(recording->reader);
        if (segment_need(recording, boottime_now(), false) < 0)
                return;
        gap.time = segment_time(recording, boottime);
        if (gap.output == SEGMENT_OUTPUT_ALL)
                write_gap_of_all(recording, gap.reason, boottime);
        else if (gap.output < SEGMENT_OUTPUT_MAX) {
                const SegmentGap *old = &recording->outputs[gap.output].gap;
                if ((old->reason == gap.reason && old->format == gap.format &&
                     old->modifier == gap.modifier) ||
                    write_gap(recording, &gap) < 0)
                        return;
                recording->outputs[gap.output].gap = gap;
                recording->gap_all = 0;
        }
}

void recording_gap(Uploadd *uploadd, uint32_t output, enum segment_gap reason, uint32_t format,
                   uint64_t modifier) {
        gap_from(uploadd, (SegmentGap){ output, reason, 0, format, modifier }, boottime_now());
}

void recording_gap_since(Uploadd *uploadd, uint32_t output, enum segment_gap reason, uint64_t boottime) {
        gap_from(uploadd, (SegmentGap){ .output = output, .reason = reason }, boottime);
}

void recording_forget(Uploadd *uploadd, uint32_t output) {
        if (uploadd->recording)
                encoder_forget(uploadd->recording->encoder, output);
}

typedef struct Drawing {
        Encoder *encoder;
        uint32_t output;
        bool changed;
} Drawing;

static void draw_picture(const PicturePlane *plane, void *userdata) {
        Drawing *drawing = userdata;
        drawing->changed = encoder_draw(drawing->encoder, drawing->output, plane);
}

/* Copies the picture out of capd's memory. */
static int draw_open(Recording *recording, uint32_t output, const struct wire_frame *frame, const int *fds,
                     bool *ret_changed, FrameProblem *problem) {
        Drawing drawing = { recording->encoder, output, true };
        int r;

        r = frame_open(recording->reader, frame, fds, problem);
        if (r < 0)
                return r;
        r = encoder_prepare(recording->encoder, output, frame->width, frame->height);
        if (r == -ENOBUFS)
                return frame_problem(problem, r,
                                     "there is no room for its %u × %u pixels beside the other displays",
                                     frame->width, frame->height);
        if (r < 0)
                return frame_problem(problem, r, "the picture cannot be kept: %s", strerror(-r));
        r = frame_read(recording->reader, draw_picture, &drawing, problem);
        /* Half a picture is none: the next is a keyframe. */
        if (r == -EFAULT)
                encoder_forget(recording->encoder, output);
        if (r < 0)
                return r;
        r = cursor_layer_set(recording->cursors, output, frame->width, frame->height,
                             frame_cursor(recording->reader));
        if (r < 0)
                return frame_problem(problem, r, "the pointer cannot be kept: %s", strerror(-r));
        *ret_changed = drawing.changed || r > 0;
        return 0;
}

static int draw(Recording *recording, uint32_t output, const struct wire_frame *frame, const int *fds,
                bool *ret_changed, FrameProblem *problem) {
        int r;

        if (!segment_size_ok(frame->width, frame->height))
                return frame_problem(problem, -EOPNOTSUPP, "an output of %u × %u pixels cannot be recorded",
                                     frame->width, frame->height);
        r = draw_open(recording, output, frame, fds, ret_changed, problem);
        frame_close(recording->reader);
        return r;
}

static int declare(Recording *recording, const DrawnFrame *frame, const struct wire_output *output) {
        RecordingOutput *o = &recording->outputs[frame->output];
        SegmentOutput declaration = { frame->output, frame->width, frame->height, output->refresh_mhz };
        int r;

        strcpy(declaration.name, output->name);
        if (memcmp(&o->declared, &declaration, sizeof(declaration)) == 0)
                return 0;
        r = segment_writer_output(&recording->writer, &declaration);
        if (r < 0)
                return r;
        cursor_layer_restart_output(recording->cursors, frame->output);
        *o = (RecordingOutput){ .declared = declaration, .gap = o->gap };
        return 0;
}

/* Says how the recording is slowed down, if that has changed. */
static int write_rate(Recording *recording, uint64_t time) {
        SegmentRate rate;
        int r;

        if (!rate_news(&recording->rate, &recording->rate_written, time, &rate))
                return 0;
        r = segment_writer_rate(&recording->writer, &rate);
        if (r >= 0)
                recording->rate_written = rate;
        return r;
}

static int write_tables(Recording *recording, const EncodedFrame *encoded) {
        SegmentTables tables = encoder_coarse_tables(recording->encoder);
        int r;

        if (encoded->n_coarse == 0 || recording->has_coarse)
                return 0;
        r = segment_writer_coarse_tables(&recording->writer, tables.data, tables.size);
        recording->has_coarse = r >= 0;
        return r;
}

static int write_encoded(Recording *recording, const DrawnFrame *frame, uint32_t flags, uint64_t time,
                         const EncodedFrame *encoded) {
        int r;

        r = write_tables(recording, encoded);
        if (r >= 0)
                r = segment_writer_frame(&recording->writer,
                                         &(SegmentFrame){
                                                         .output = frame->output,
                                                         .flags = flags,
                                                         .time = time,
                                                         .n_operations = encoded->n_operations,
                                                         .operations = encoded->operations->data,
                                                         .operations_size = encoded->operations->size,
                                         });
        return r;
}

/* All that was written besides frames. */
static void charge(Recording *recording) {
        uint64_t size = recording->writer.buffer.size;

        rate_charge(&recording->rate, size - recording->charged);
        recording->charged = size;
}

/* Encodes the picture that was drawn into the open segment. -EAGAIN: it may not be written now. *ret_news is
 * not set by what a segment merely begins with. */
static int write_frame(Recording *recording, const DrawnFrame *frame, const struct wire_output *output,
                       bool torn, uint64_t boottime, bool *ret_news) {
        RecordingOutput *o = &recording->outputs[frame->output];
        uint64_t time = segment_time(recording, boottime), bytes = 0;
        EncodedFrame encoded;
        bool key;
        int r;

        r = declare(recording, frame, output);
        if (r >= 0)
                r = cursor_layer_write(recording->cursors, &recording->writer, frame->output, time);
        if (r < 0)
                return r;
        *ret_news = frame->changed;
        encoder_set_coarse(recording->encoder, recording->rate.coarse);
        r = encoder_encode(recording->encoder, frame->output, !o->has_key, &key, &encoded);
        if (r < 0)
                return r;
        *ret_news = *ret_news || (r > 0 && !key);
        /* Nothing new to draw is still news if there was no picture before. */
        bool must = !o->has_key || o->gap.reason != 0 || recording->gap_all != 0, write = r > 0 || must;
        if (write)
                bytes = encoded.operations->size + SEGMENT_CHUNK_HEADER_SIZE + SEGMENT_FRAM_SIZE;
        charge(recording);
        const Rate before = recording->rate;
        bool take = rate_take(&recording->rate, boottime_now(), bytes,
                              frame->cpu + (clock_now(CLOCK_THREAD_CPUTIME_ID) - recording->cpu_start) *
                                                              1000,
                              must);
        r = write_rate(recording, time);
        if (r >= 0 && !take)
                r = -EAGAIN;
        if (r < 0 || !write)
                return r;
        r = write_encoded(recording, frame,
                          (key ? SEGMENT_FRAME_KEY : 0U) | (torn ? SEGMENT_FRAME_TORN : 0U), time, &encoded);
        /* It is paid for where it is written: in the next segment. */
        if (r == -EFBIG)
                recording->rate = before;
        if (r < 0)
                return r;
        recording->charged += bytes;
        o->has_key = true;
        o->gap.reason = 0;
        recording->gap_all = 0;
        return 0;
}

int recording_draw(Uploadd *uploadd, uint32_t output, const struct wire_frame *frame, const int *fds,
                   DrawnFrame *ret, FrameProblem *problem) {
        Recording *recording = uploadd->recording;
        uint64_t now = boottime_now(), taken = frame->time / 1000;
        bool changed = true;
        int r;

        *problem = (FrameProblem){};
        segment_catch_up(recording);
        recording->cpu_start = clock_now(CLOCK_THREAD_CPUTIME_ID);
        if (taken > now || now - taken > recording_interval(recording) + UINT64_C(1000000) ||
            taken < recording->awake)
                taken = now; /* capd's word counts as far as it is plausible */
        r = segment_need(recording, taken, false);
        if (r < 0)
                return r;
        r = draw(recording, output, frame, fds, &changed, problem);
        if (r == -ETIME)
                return r;
        if (r < 0) {
                recording_gap(uploadd, output, SEGMENT_GAP_UNDECODABLE, problem->format, problem->modifier);
                return r;
        }
        *ret = (DrawnFrame){ output,
                             frame->width,
                             frame->height,
                             taken,
                             (clock_now(CLOCK_THREAD_CPUTIME_ID) - recording->cpu_start) * 1000,
                             changed };
        return 0;
}

bool recording_write(Uploadd *uploadd, const DrawnFrame *frame, const struct wire_output *output, bool torn,
                     FrameProblem *problem) {
        Recording *recording = uploadd->recording;
        bool news = frame->changed;
        int r;

        segment_catch_up(recording);
        uint64_t taken = frame->taken > recording->awake ? frame->taken : recording->awake;
        if (segment_need(recording, taken, false) < 0)
                return news;
        recording->cpu_start = clock_now(CLOCK_THREAD_CPUTIME_ID);
        r = write_frame(recording, frame, output, torn, taken, &news);
        if (r == -EFBIG) {
                uint64_t now = boottime_now();
                segment_cut(recording);
                if (segment_need(recording, now, false) < 0)
                        return news;
                r = write_frame(recording, frame, output, torn, now, &news);
        }
        if (r == -EAGAIN)
                return news; /* a later one comes in its place */
        if (r < 0) {
                snprintf(problem->text, sizeof(problem->text), "a picture of %u × %u pixels is lost: %s",
                         frame->width, frame->height, strerror(-r));
                recording_gap(uploadd, frame->output, SEGMENT_GAP_OVERLOAD, 0, 0);
                return news;
        }
        encoder_keep(recording->encoder, frame->output);
        uploadd->frames++;
        uploadd->last_frame_realtime = realtime_now();
        if (recording->open && recording->writer.buffer.size >= recording->parameters.segment_bytes)
                segment_cut(recording);
        return news;
}
