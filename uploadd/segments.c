/* SPDX-License-Identifier: Apache-2.0 */
#include "segments.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/evp.h>

static void segment_free(Segment *segment) {
        safe_close(segment->fd);
        free(segment);
}

void segments_done(Segments *segments) {
        while (segments->first)
                segments_release(segments, segments->first);
        while (segments->recordings)
                segments_forget_recording(segments, segments->recordings);
}

int segments_recording(Segments *segments, const uint8_t id[static 16], RecordingEntry **ret) {
        RecordingEntry *entry = segments->recordings;

        while (entry && memcmp(entry->id, id, sizeof(entry->id)) != 0)
                entry = entry->next;
        if (!entry) {
                entry = calloc(1, sizeof(*entry));
                if (!entry)
                        return -ENOMEM;
                memcpy(entry->id, id, sizeof(entry->id));
                entry->next = segments->recordings;
                segments->recordings = entry;
        }
        *ret = entry;
        return 0;
}

void segments_forget_recording(Segments *segments, RecordingEntry *recording) {
        RecordingEntry **at = &segments->recordings;

        while (*at != recording)
                at = &(*at)->next;
        *at = recording->next;
        free(recording);
}

bool segments_room(const Segments *segments, uint64_t size) {
        return segments->count < SEGMENTS_COUNT_MAX && segments->bytes + size <= SEGMENTS_BYTES_MAX;
}

static int write_all(int fd, const uint8_t *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        data += n;
                        size -= (size_t) n;
                }
        }
        return 0;
}

static int sealed_memfd(const Buffer *buffer, int *ret_fd) {
        _cleanup_close_ int fd = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r;

        if (fd < 0)
                return -errno;
        r = write_all(fd, buffer->data, buffer->size);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int digest(const Buffer *buffer, const EVP_MD *type, uint8_t *ret) {
        return EVP_Digest(buffer->data, buffer->size, ret, NULL, type, NULL) == 1 ? 0 : -EIO;
}

int segments_add(Segments *segments, RecordingEntry *recording, const SegmentWriter *writer,
                 uint64_t start_realtime, uint64_t end_realtime, bool final, Segment **ret) {
        Segment *segment = calloc(1, sizeof(*segment)), **last = &segments->first;
        int r;

        if (!segment)
                return -ENOMEM;
        segment->fd = -1;
        segment->recording = recording;
        segment->ready = (struct wire_broker_segment_ready){
                .type = WIRE_BROKER_SEGMENT_READY,
                .sequence = recording->n_segments,
                .size = writer->buffer.size,
                .start_realtime = start_realtime,
                .end_realtime = end_realtime,
                .n_frames = writer->n_frames,
                .final = final,
        };
        memcpy(segment->ready.recording, recording->id, sizeof(recording->id));
        memcpy(segment->ready.previous_sha256, recording->last_sha256, sizeof(recording->last_sha256));

        r = digest(&writer->buffer, EVP_sha256(), segment->ready.sha256);
        if (r >= 0)
                r = digest(&writer->buffer, EVP_md5(), segment->ready.md5);
        if (r >= 0)
                r = sealed_memfd(&writer->buffer, &segment->fd);
        if (r < 0) {
                segment_free(segment);
                return r;
        }

        while (*last)
                last = &(*last)->next;
        *last = segment;
        segments->count++;
        segments->bytes += segment->ready.size;
        recording->n_segments++;
        recording->n_queued++;
        memcpy(recording->last_sha256, segment->ready.sha256, sizeof(recording->last_sha256));
        *ret = segment;
        return 0;
}

Segment *segments_find(Segments *segments, const uint8_t recording[static 16], uint32_t sequence) {
        Segment *segment = segments->first;

        while (segment &&
               (segment->ready.sequence != sequence || memcmp(segment->ready.recording, recording, 16) != 0))
                segment = segment->next;
        return segment;
}

void segments_release(Segments *segments, Segment *segment) {
        Segment **at = &segments->first;

        while (*at != segment)
                at = &(*at)->next;
        *at = segment->next;
        segments->count--;
        segments->bytes -= segment->ready.size;
        segment->recording->n_queued--;
        segment_free(segment);
}
