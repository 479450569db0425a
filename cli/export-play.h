/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "export.h"
#include "segment-cursor.h"

/* Plays segments in a row, one output of them. */
typedef struct ExportPlayer {
        bool has_output;
        uint32_t output;      /* the one played: given, or the first that occurs */
        SegmentCanvas canvas; /* what it shows, with the cursor */
        bool shows;           /* false: nothing yet, or a gap */
        uint64_t start, time; /* µs since the epoch: of the first segment, of now */

        SegmentCursors cursors;
        SegmentCursor cursor; /* as last told, in this segment */
        bool cursor_moved;    /* and not yet shown */

        SegmentTables tables, coarse;
        bool has_head, told_others;
        SegmentHead head; /* of the segment before */

        /* The picture is about to change, at time, from what is on the canvas. */
        int (*before)(struct ExportPlayer *player, uint64_t time);
        /* The picture has changed, or ended (shows). */
        int (*after)(struct ExportPlayer *player);
        /* So many bytes of the segment have been played. */
        void (*progress)(struct ExportPlayer *player, size_t offset);
        void *userdata;
} ExportPlayer;

/* Plays one segment, whose name is for messages. -EBADMSG, -ENODATA, -EPROTONOSUPPORT: it is damaged, cut or
 * newer; what and where was said, and all before the damage was played. */
int export_play(ExportPlayer *player, const char *name, const uint8_t *data, size_t size);

void export_player_done(ExportPlayer *player);
