/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finished segments: each in a sealed memfd from the end of its recording until the control plane knows of
 * it. The queue is bounded by refusing to begin a segment, never by dropping one. */

#include "segment-writer.h"
#include "wire.h"

#define SEGMENTS_BYTES_MAX (64U << 20)
#define SEGMENTS_COUNT_MAX 256U

typedef struct Upload Upload;

/* A recording of which something is left to do. */
typedef struct RecordingEntry {
        uint8_t id[16];
        uint8_t last_sha256[32]; /* of the newest segment, zero if none */
        uint32_t n_segments;     /* finished so far: the next sequence */
        uint32_t n_queued;
        bool ended;
        struct RecordingEntry *next;
} RecordingEntry;

typedef struct Segment {
        RecordingEntry *recording;
        struct wire_broker_segment_ready ready; /* the message that announces it */
        int fd;                                 /* sealed memfd of ready.size bytes */
        bool uploaded;                          /* the bucket has it, brokerd has not released it */
        Upload *upload;                         /* the try under way */
        struct Segment *next;
} Segment;

typedef struct Segments {
        Segment *first; /* in the order they were finished */
        RecordingEntry *recordings;
        uint32_t count;
        uint64_t bytes;
} Segments;

void segments_done(Segments *segments);

/* Finds or makes a recording's entry. -ENOMEM. */
int segments_recording(Segments *segments, const uint8_t id[static 16], RecordingEntry **ret);
void segments_forget_recording(Segments *segments, RecordingEntry *recording);

/* Whether a segment of up to size bytes may be begun. */
bool segments_room(const Segments *segments, uint64_t size);

/* Takes a finished segment's bytes into the queue as the next of its recording; final: as its last. */
int segments_add(Segments *segments, RecordingEntry *recording, const SegmentWriter *writer,
                 uint64_t start_realtime, uint64_t end_realtime, bool final, Segment **ret);

Segment *segments_find(Segments *segments, const uint8_t recording[static 16], uint32_t sequence);

/* Forgets the segment and its bytes. No try may be under way. */
void segments_release(Segments *segments, Segment *segment);
