/* SPDX-License-Identifier: Apache-2.0 */
#include "export-play.h"

#include <inttypes.h>
#include <string.h>

static int play_head(ExportPlayer *player, const char *name, const SegmentHead *head) {
        if (player->has_head) {
                if (memcmp(head->recording, player->head.recording, sizeof(head->recording)) != 0) {
                        export_message("%s: is of another recording than the segment before", name);
                        return -EINVAL;
                }
                if (head->sequence <= player->head.sequence) {
                        export_message("%s: is segment %" PRIu32 " but follows %" PRIu32
                                       ": give the segments in order",
                                       name, head->sequence, player->head.sequence);
                        return -EINVAL;
                }
                if (head->sequence != player->head.sequence + 1)
                        export_message("%s: segments are missing between %" PRIu32 " and %" PRIu32, name,
                                       player->head.sequence, head->sequence);
        } else
                player->start = player->time = head->start_realtime;
        player->head = *head;
        player->tables = player->coarse = (SegmentTables){};
        /* The picture goes on until this segment's keyframe, and the cursor on it. */
        segment_cursors_hide(&player->cursors, &player->canvas);
        segment_cursors_done(&player->cursors);
        player->cursor = (SegmentCursor){};
        player->cursor_moved = false;
        player->has_head = true;
        return 0;
}

/* Times of capture; a clock that was set back does not turn them around. */
static void set_time(ExportPlayer *player, uint64_t offset) {
        uint64_t time = player->head.start_realtime + offset;
        if (time > player->time)
                player->time = time;
}

static int play_output(ExportPlayer *player, const SegmentOutput *output) {
        if (!player->has_output) {
                player->output = output->id;
                player->has_output = true;
        }
        if (output->id != player->output) {
                if (!player->told_others)
                        export_message("there is also output %" PRIu32 " (%s): choose with --output",
                                       output->id, output->name);
                player->told_others = true;
                return 0;
        }
        player->cursor = (SegmentCursor){};
        player->cursor_moved = false;
        /* In the next segment the picture goes on until its keyframe. */
        if (player->canvas.pixels && player->canvas.width == output->width &&
            player->canvas.height == output->height)
                return 0;
        segment_cursors_hide(&player->cursors, &player->canvas);
        segment_canvas_done(&player->canvas);
        player->shows = false;
        return segment_canvas_init(&player->canvas, output->width, output->height);
}

/* Changes the picture, at the player's time: by a frame, or by the cursor alone. */
static int play_change(ExportPlayer *player, const char *name, size_t offset, const SegmentFrame *frame) {
        int r;

        r = player->before(player, player->time);
        if (r < 0)
                return r;
        segment_cursors_hide(&player->cursors, &player->canvas);
        if (frame) {
                player->canvas.coarse = player->coarse;
                r = segment_canvas_draw(&player->canvas, &player->tables, frame);
                if (r < 0) {
                        export_message("%s: damaged at byte %zu: the JPEG data of a frame cannot be decoded. What "
                                       "precedes it is exported.",
                                       name, offset);
                        (void) segment_cursors_show(&player->cursors, &player->cursor, &player->canvas);
                        return r;
                }
                player->shows = true;
        }
        player->cursor_moved = false;
        r = segment_cursors_show(&player->cursors, &player->cursor, &player->canvas);
        return r < 0 ? r : player->after(player);
}

static int play_frame(ExportPlayer *player, const char *name, size_t offset, const SegmentFrame *frame) {
        if (!player->has_output || frame->output != player->output)
                return 0;
        set_time(player, frame->time);
        return play_change(player, name, offset, frame);
}

static int play_cursor_image(ExportPlayer *player, const char *name, size_t offset,
                             const SegmentCursorImage *image) {
        int r = segment_cursors_add(&player->cursors, image);
        if (r < 0)
                export_message("%s: damaged at byte %zu: a cursor's image cannot be decoded", name, offset);
        return r;
}

static void play_cursor(ExportPlayer *player, const SegmentCursor *cursor) {
        if (!player->has_output || cursor->output != player->output)
                return;
        player->cursor = *cursor;
        player->cursor_moved = true;
}

/* A cursor that moved is shown at its time, or with the frame of the same time that follows. */
static int show_cursor(ExportPlayer *player, const SegmentChunk *next) {
        bool with_frame = next && next->type == SEGMENT_FRAM && next->frame.output == player->output &&
                          next->frame.time == player->cursor.time;

        if (!player->cursor_moved || with_frame)
                return 0;
        if (!player->shows) /* what ends the gap will show it */
                return 0;
        set_time(player, player->cursor.time);
        return play_change(player, NULL, 0, NULL);
}

static int play_gap(ExportPlayer *player, const SegmentGap *gap) {
        if (gap->output != SEGMENT_OUTPUT_ALL && (!player->has_output || gap->output != player->output))
                return 0;
        set_time(player, gap->time);
        if (!player->shows)
                return 0;
        int r = player->before(player, player->time);
        if (r < 0)
                return r;
        player->shows = false;
        return player->after(player);
}

static int play_chunk(ExportPlayer *player, const char *name, const SegmentChunk *chunk) {
        int r = show_cursor(player, chunk);

        if (r < 0)
                return r;
        switch (chunk->type) {
        case SEGMENT_HEAD:
                return play_head(player, name, &chunk->head);
        case SEGMENT_OUTP:
                return play_output(player, &chunk->output);
        case SEGMENT_JTAB:
                player->tables = chunk->tables;
                return 0;
        case SEGMENT_JCOA:
                player->coarse = chunk->tables;
                return 0;
        case SEGMENT_FRAM:
                return play_frame(player, name, chunk->offset, &chunk->frame);
        case SEGMENT_GAP:
                return play_gap(player, &chunk->gap);
        case SEGMENT_CIMG:
                return play_cursor_image(player, name, chunk->offset, &chunk->cursor_image);
        case SEGMENT_CPOS:
                play_cursor(player, &chunk->cursor);
                return 0;
        case SEGMENT_INDX:
                set_time(player, chunk->index.end_time);
                return 0;
        default:
                return 0;
        }
}

int export_play(ExportPlayer *player, const char *name, const uint8_t *data, size_t size) {
        SegmentReader reader;
        SegmentChunk chunk;
        int r;

        segment_reader_init(&reader, data, size);
        while ((r = segment_reader_next(&reader, &chunk)) > 0) {
                r = play_chunk(player, name, &chunk);
                if (r < 0)
                        return r;
                player->progress(player, reader.offset);
        }
        if (r < 0 && show_cursor(player, NULL) >= 0)
                export_message("%s: damaged at byte %zu: %s. What precedes it is exported.", name,
                               reader.error_offset, reader.error);
        return r;
}

void export_player_done(ExportPlayer *player) {
        segment_canvas_done(&player->canvas);
        segment_cursors_done(&player->cursors);
}
