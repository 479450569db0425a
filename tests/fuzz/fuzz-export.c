/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a segment that streamsight export plays, then as the next one of the same recording. Whenever
 * it shows something that is a whole picture, and time does not turn around. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export-play.h"
#include "fuzz.h"
#include "segment-input.h"

void export_message(const char *format, ...) {
        char text[4096];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
}

typedef struct Shown {
        uint64_t time;
        uint32_t sum; /* for every pixel to be read */
} Shown;

static int on_before(ExportPlayer *player, uint64_t time) {
        Shown *shown = player->userdata;

        if (time < shown->time)
                abort();
        shown->time = time;
        return 0;
}

static int on_after(ExportPlayer *player) {
        const SegmentCanvas *canvas = &player->canvas;
        Shown *shown = player->userdata;

        for (uint32_t y = 0; player->shows && y < canvas->height; y++)
                for (size_t x = 0; x < canvas->stride; x++)
                        shown->sum += canvas->pixels[y * canvas->stride + x];
        return 0;
}

static void on_progress(ExportPlayer *player, size_t offset) {
        (void) player;
        (void) offset;
}

static void play(uint8_t *data, size_t size, bool has_output) {
        Shown shown = {};
        ExportPlayer player = { .has_output = has_output,
                                .output = 63,
                                .before = on_before,
                                .after = on_after,
                                .progress = on_progress,
                                .userdata = &shown };
        size_t sequence = SEGMENT_SIGNATURE_SIZE + SEGMENT_CHUNK_HEADER_SIZE + 4;

        if (export_play(&player, "first", data, size) >= 0 && size > sequence + 4) {
                le32_put(data + sequence, le32_get(data + sequence) + 1);
                (void) segment_input_fix(data, size);
                (void) export_play(&player, "second", data, size);
        }
        export_player_done(&player);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < SEGMENT_SIGNATURE_SIZE)
                return 0;
        uint8_t *copy = malloc(size);
        if (!copy)
                return 0;
        memcpy(copy, data, size);
        if (segment_input_fix(copy, size)) {
                play(copy, size, false);
                play(copy, size, true);
        }
        free(copy);
        return 0;
}
