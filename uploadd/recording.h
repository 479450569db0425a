/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The open recording: frames and gaps go into its open segment, which is begun with the first of either and
 * ends by time, by size, by FLUSH or with the recording. */

#include "uploadd.h"
#include "wire.h"

/* Begins a recording, or goes on with one whose segments are still here; another that is open ends. -EINVAL:
 * the message asks for what is out of bounds. */
int recording_start(Uploadd *uploadd, const struct wire_broker_record *record);

/* Ends the open recording, if there is one: its segment is cut and queued. */
void recording_end(Uploadd *uploadd);

/* From now on no picture goes into the open recording but a gap of this reason (SEGMENT_GAP_PAUSED or
 * _LOCKED); 0: again. */
void recording_hold(Uploadd *uploadd, enum segment_gap reason);
enum segment_gap recording_held(const Recording *recording); /* 0: no */

/* Cuts the segment. */
void recording_flush(Uploadd *uploadd);

const uint8_t *recording_id(const Recording *recording); /* 16 bytes */
uint64_t recording_outputs(const Recording *recording);  /* mask */
uint64_t recording_interval(const Recording *recording); /* µs */
/* CLOCK_BOOTTIME µs before which no frame is to be asked for: the ceilings that RECORD set. */
uint64_t recording_due(const Recording *recording);

/* Whether there is room to record into; if not, the time until there is becomes a gap. */
bool recording_ready(Uploadd *uploadd);

/* A frame is recorded in two steps, so that capd can be asked in between whether it was whole. Another one
 * may be drawn over it instead of writing it. */
typedef struct DrawnFrame {
        uint32_t output, width, height;
        uint64_t taken; /* CLOCK_BOOTTIME µs */
        uint64_t cpu;   /* nanoseconds of this thread that drawing took */
        bool changed;   /* the picture, against the one that was recorded last, or the pointer */
} DrawnFrame;

/* Copies the frame's picture. -ETIME: rendering into it took too long; -ENOSPC: there is no room to record
 * into; any other error: it could not be copied, *problem is filled and the gap has been recorded. */
typedef struct FrameProblem FrameProblem;
int recording_draw(Uploadd *uploadd, uint32_t output, const struct wire_frame *frame, const int *fds,
                   DrawnFrame *ret, FrameProblem *problem);

/* Encodes what was drawn last of this output, by the recording that is still open. torn: a page flip came
 * between. *problem, of recording_draw(), is overwritten if it cannot be written. Returns whether there was
 * anything new to show, which is so until a picture that was recorded coarsely has been refined. */
bool recording_write(Uploadd *uploadd, const DrawnFrame *frame, const struct wire_output *output, bool torn,
                     FrameProblem *problem);

/* Writes who has the seat, uploadd->session, which has changed; each segment begins with it anyway. */
void recording_session(Uploadd *uploadd);

/* No picture of the output (or of SEGMENT_OUTPUT_ALL) from now on; the same again is written once a segment.
 */
void recording_gap(Uploadd *uploadd, uint32_t output, enum segment_gap reason, uint32_t format,
                   uint64_t modifier);
/* The same from an earlier moment on, in µs of CLOCK_BOOTTIME, as far as the segment is not written yet:
 * when it was not known that there would be none. */
void recording_gap_since(Uploadd *uploadd, uint32_t output, enum segment_gap reason, uint64_t boottime);

/* The output is gone, and with it what was kept of its pictures. Should it come back, it begins with a
 * keyframe. */
void recording_forget(Uploadd *uploadd, uint32_t output);
