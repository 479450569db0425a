/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* uploadd encodes what capd shows and puts it where brokerd says, if the machine's administrator has pinned
 * that place. It reads no file after start.
 *
 *   capture.h     frame.sock: asks for frames                 frame-reader.h, picture.h
 *   recording.h   the open recording and its open segment     encoder.h
 *   segments.h    finished segments, until they are released
 *   upload.h      one PUT                                     common/web/http.h
 *   broker.h      broker.sock: told what to do, tells what came of it
 *   uploadd-sandbox.h  what the process may still do  policy/sandbox/uploadd.c
 */

#include <systemd/sd-event.h>

#include "http.h"
#include "peer.h"
#include "segments.h"
#include "settings.h"

typedef struct Recording Recording;
typedef struct Capture Capture;
typedef struct Broker Broker;

typedef struct Uploadd {
        sd_event *event;
        Settings settings;
        HttpClient *http;
        Capture *capture;
        Broker *broker;
        Recording *recording; /* NULL: none is open */
        Segments segments;
        SegmentSession session; /* who has the seat, as brokerd told last; time is 0 */
        bool has_session;
        uint64_t frames;              /* encoded since start */
        uint64_t last_frame_realtime; /* µs */
        sd_event_source *stopping;    /* the deadline, once the process is to end */
} Uploadd;

/* Ends the recording, uploads what is finished, and then the process ends. 0, or a negative errno. */
int uploadd_stop(Uploadd *uploadd);

/* Ends the event loop if the process is to end and nothing is left that it could still do. */
void uploadd_check_stopped(Uploadd *uploadd);
