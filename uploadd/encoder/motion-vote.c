/* SPDX-License-Identifier: Apache-2.0 */
#include "motion-vote.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX  6U /* of tiles, for the vertical search */
#define COLUMN_TILES 3U /* changed tiles that make a column worth looking at */
/* A window sliding over a row for the horizontal one. */
#define WINDOW    32U
#define ROWS_MAX  10U
#define ROW_TILES 3U
/* The same for both at once: windows at the middles of the tiles before, and everywhere in a few rows now.
 */
#define ANCHORS_MAX 6144U
#define LINES_MAX   24U
#define TALLY_SLOTS 1024U
#define VOTES_MIN   6U
#define PROBES_MAX  64U
#define TABLE_SLOTS 32768U /* at least twice SEGMENT_SIDE_MAX */

_Static_assert(TABLE_SLOTS >= 2 * SEGMENT_SIDE_MAX && TABLE_SLOTS >= 2 * ANCHORS_MAX,
               "a table is never full");

enum { PLACE_NONE = 0, PLACE_MANY = UINT32_MAX };

typedef struct Slot {
        uint32_t hash;
        uint32_t place; /* position + 1 */
} Slot;

/* How many voted for a displacement. */
typedef struct Tally {
        MotionShift shift;
        uint32_t votes; /* 0: free */
} Tally;

struct MotionVote {
        Slot slots[TABLE_SLOTS];
        uint32_t mask;          /* of the slots in use */
        uint32_t *before, *now; /* hashes by position */
        uint32_t *votes;        /* by displacement + extent */
        uint32_t extent;        /* the larger of width and height */
        Tally tally[TALLY_SLOTS];
};

int motion_vote_new(MotionVote **ret, uint32_t width, uint32_t height) {
        _cleanup_(motion_vote_freep) MotionVote *vote = calloc(1, sizeof(*vote));

        if (!vote)
                return -ENOMEM;
        vote->extent = width > height ? width : height;
        vote->before = calloc(vote->extent, sizeof(uint32_t));
        vote->now = calloc(vote->extent, sizeof(uint32_t));
        vote->votes = calloc(2 * (size_t) vote->extent, sizeof(uint32_t));
        if (!vote->before || !vote->now || !vote->votes)
                return -ENOMEM;
        *ret = TAKE_PTR(vote);
        return 0;
}

MotionVote *motion_vote_free(MotionVote *vote) {
        if (!vote)
                return NULL;
        free(vote->before);
        free(vote->now);
        free(vote->votes);
        free(vote);
        return NULL;
}

static void table_clear(MotionVote *vote, uint32_t n) {
        uint32_t slots = 64;

        while (slots < 2 * n)
                slots *= 2;
        vote->mask = slots - 1;
        memset(vote->slots, 0, slots * sizeof(Slot));
}

/* The slot of a hash, or the free one for it; NULL if that is far, which a picture can be made to bring
 * about. */
static Slot *table_find(MotionVote *vote, uint32_t hash) {
        for (uint32_t i = 0; i < PROBES_MAX; i++) {
                Slot *slot = &vote->slots[(hash + i) & vote->mask];
                if (slot->place == PLACE_NONE || slot->hash == hash)
                        return slot;
        }
        return NULL;
}

/* Enters a hash, which is at a place of the picture before. */
static void table_add(MotionVote *vote, uint32_t hash, uint32_t place) {
        Slot *slot = table_find(vote, hash);

        if (slot)
                *slot = (Slot){ hash, slot->place == PLACE_NONE ? place + 1 : PLACE_MANY };
}

/* Whether a hash was entered once, and then its place. */
static bool table_get(MotionVote *vote, uint32_t hash, uint32_t *ret_place) {
        const Slot *slot = table_find(vote, hash);

        if (!slot || slot->place == PLACE_NONE || slot->place == PLACE_MANY)
                return false;
        *ret_place = slot->place - 1;
        return true;
}

/* Votes with hashes that are there once before and once now, at places that differ. Repeated ones, as of
 * blank or ruled areas, say nothing. */
static void cast(MotionVote *vote, uint32_t n) {
        const uint32_t *before = vote->before, *now = vote->now;

        uint32_t place;

        table_clear(vote, n);
        for (uint32_t i = 0; i < n; i++)
                if (i == 0 || before[i] != before[i - 1])
                        table_add(vote, before[i], i);
        for (uint32_t i = 0; i < n; i++)
                if (now[i] != before[i] && (i == 0 || now[i] != now[i - 1]) &&
                    table_get(vote, now[i], &place))
                        vote->votes[place + vote->extent - i]++;
}

static uint32_t elect(MotionVote *vote, bool vertical, MotionShift *ret) {
        uint32_t n = 0;

        while (n < MOTION_SHIFTS_MAX) {
                uint32_t best = 0;
                for (uint32_t i = 1; i < 2 * vote->extent; i++)
                        if (vote->votes[i] > vote->votes[best])
                                best = i;
                if (vote->votes[best] < VOTES_MIN)
                        break;
                int32_t shift = (int32_t) best - (int32_t) vote->extent;
                ret[n++] = vertical ? (MotionShift){ 0, shift } : (MotionShift){ shift, 0 };
                vote->votes[best] = 0;
        }
        memset(vote->votes, 0, 2 * (size_t) vote->extent * sizeof(uint32_t));
        return n;
}

uint32_t motion_vote_vertical(MotionVote *vote, const Picture *before, const Picture *now,
                              const uint8_t *changed, MotionShift *ret) {
        uint16_t columns[SEGMENT_SIDE_MAX / SEGMENT_TILE_WIDTH];
        uint32_t n_columns = 0;

        for (uint32_t x = 0; x < now->width / SEGMENT_TILE_WIDTH; x++) {
                uint32_t n = 0;
                for (uint32_t y = 0; y < now->tiles_down; y++)
                        n += changed[y * now->tiles_across + x] != 0;
                if (n >= COLUMN_TILES)
                        columns[n_columns++] = (uint16_t) x;
        }
        uint32_t n = n_columns < COLUMNS_MAX ? n_columns : COLUMNS_MAX;
        for (uint32_t i = 0; i < n; i++) {
                uint32_t x = columns[i * n_columns / n], top = 0, end = now->tiles_down;
                while (!changed[top * now->tiles_across + x])
                        top++;
                while (!changed[(end - 1) * now->tiles_across + x])
                        end--;
                uint32_t rows = end * SEGMENT_TILE_HEIGHT < now->height ? end * SEGMENT_TILE_HEIGHT
                                                                        : now->height;
                rows -= top * SEGMENT_TILE_HEIGHT;
                const RowHash *hashes_before = picture_hashes(before, top * SEGMENT_TILE_HEIGHT) + x,
                              *hashes_now = picture_hashes(now, top * SEGMENT_TILE_HEIGHT) + x;
                for (uint32_t row = 0; row < rows; row++) {
                        vote->before[row] = (uint32_t) hashes_before[row * before->tiles_across].parts[0];
                        vote->now[row] = (uint32_t) hashes_now[row * now->tiles_across].parts[0];
                }
                cast(vote, rows);
        }
        return elect(vote, true, ret);
}

#define BASE 0x9e3779b1U

static uint32_t mix(uint32_t hash) {
        return hash ^ hash >> 15;
}

/* Rabin and Karp's rolling hash of WINDOW pixels, for each place of a row of n pixels; returns their number.
 */
static uint32_t hash_windows(const uint32_t *row, uint32_t n, uint32_t *ret) {
        uint32_t hash = 0, power = 1;

        for (uint32_t i = 0; i < WINDOW; i++) {
                hash = hash * BASE + row[i];
                power *= BASE;
        }
        for (uint32_t i = 0;; i++) {
                ret[i] = mix(hash);
                if (i + WINDOW >= n)
                        return i + 1;
                hash = hash * BASE + row[i + WINDOW] - row[i] * power;
        }
}

/* The same of one place; false if it is of one colour, and there must be many such. powers: BASE's, from its
 * 31st to its 0th, so that no product waits for the one before. */
static bool hash_window(const uint32_t *row, const uint32_t *powers, uint32_t *ret) {
        uint32_t hash = 0, differs = 0;

        for (uint32_t i = 0; i < WINDOW; i++) {
                hash += row[i] * powers[i];
                differs |= row[i] ^ row[0];
        }
        *ret = mix(hash);
        return differs != 0;
}

uint32_t motion_vote_horizontal(MotionVote *vote, const Picture *before, const Picture *now,
                                const uint8_t *changed, MotionShift *ret) {
        uint16_t bands[SEGMENT_SIDE_MAX / SEGMENT_TILE_HEIGHT];
        uint32_t n_bands = 0;

        for (uint32_t y = 0; y < now->height / SEGMENT_TILE_HEIGHT; y++) {
                uint32_t n = 0;
                for (uint32_t x = 0; x < now->tiles_across; x++)
                        n += changed[y * now->tiles_across + x] != 0;
                if (n >= ROW_TILES)
                        bands[n_bands++] = (uint16_t) y;
        }
        uint32_t n = n_bands < ROWS_MAX ? n_bands : ROWS_MAX;
        for (uint32_t i = 0; i < n; i++) {
                uint32_t y = bands[i * n_bands / n], left = 0, end = now->tiles_across;
                while (!changed[y * now->tiles_across + left])
                        left++;
                while (!changed[y * now->tiles_across + end - 1])
                        end--;
                uint32_t width = end * SEGMENT_TILE_WIDTH < now->width ? end * SEGMENT_TILE_WIDTH
                                                                       : now->width;
                width -= left * SEGMENT_TILE_WIDTH;
                size_t at = (y * SEGMENT_TILE_HEIGHT + SEGMENT_TILE_HEIGHT / 2) * now->stride +
                            left * SEGMENT_TILE_WIDTH;
                if (width < 2 * WINDOW)
                        continue;
                (void) hash_windows(before->pixels + at, width, vote->before);
                cast(vote, hash_windows(now->pixels + at, width, vote->now));
        }
        return elect(vote, false, ret);
}

/* Enters the middles of the tiles that have changed: of every tile's rows if they are not too many. */
static void add_anchors(MotionVote *vote, const Picture *before, const uint8_t *changed,
                        uint32_t n_changed) {
        uint32_t step = n_changed * SEGMENT_TILE_HEIGHT / ANCHORS_MAX + 1, n = 0, hash;
        uint32_t powers[WINDOW];

        powers[WINDOW - 1] = 1;
        for (uint32_t i = WINDOW - 1; i > 0; i--)
                powers[i - 1] = powers[i] * BASE;
        n = n_changed * SEGMENT_TILE_HEIGHT / step;
        table_clear(vote, n < ANCHORS_MAX ? n : ANCHORS_MAX);
        n = 0;
        for (uint32_t tile = 0; tile < before->tiles_across * before->tiles_down; tile++) {
                if (!changed[tile] || tile % before->tiles_across % step != 0)
                        continue;
                uint32_t x = tile % before->tiles_across * SEGMENT_TILE_WIDTH + WINDOW / 2,
                         y = tile / before->tiles_across * SEGMENT_TILE_HEIGHT;
                for (uint32_t row = y; row < y + SEGMENT_TILE_HEIGHT && n < ANCHORS_MAX; row++)
                        if (hash_window(before->pixels + row * before->stride + x, powers, &hash)) {
                                table_add(vote, hash,
                                          row * before->tiles_across + tile % before->tiles_across);
                                n++;
                        }
        }
}

static void tally(MotionVote *vote, MotionShift shift) {
        uint32_t hash = mix((uint32_t) shift.dx * BASE + (uint32_t) shift.dy) * BASE;

        for (uint32_t i = 0; i < PROBES_MAX; i++) {
                Tally *slot = &vote->tally[(hash + i) % TALLY_SLOTS];
                if (slot->votes > 0 && (slot->shift.dx != shift.dx || slot->shift.dy != shift.dy))
                        continue;
                slot->shift = shift;
                slot->votes++;
                return;
        }
}

/* Windows that begin in the changed tiles from first to below end, of one row of what is shown now. */
static void look_up(MotionVote *vote, const Picture *now, uint32_t first, uint32_t end, uint32_t y) {
        uint32_t left = first * SEGMENT_TILE_WIDTH, right = end * SEGMENT_TILE_WIDTH + WINDOW - 1, n, place;

        right = right < now->width ? right : now->width;
        if (right - left < WINDOW)
                return;
        n = hash_windows(now->pixels + y * now->stride + left, right - left, vote->now);
        for (uint32_t i = 0; i < n; i++) {
                if ((i > 0 && vote->now[i] == vote->now[i - 1]) || !table_get(vote, vote->now[i], &place))
                        continue;
                int64_t x = place % now->tiles_across * SEGMENT_TILE_WIDTH + WINDOW / 2;
                MotionShift shift = { (int32_t) (x - left - i),
                                      (int32_t) ((int64_t) (place / now->tiles_across) - y) };
                if (shift.dx != 0 || shift.dy != 0)
                        tally(vote, shift);
        }
}

static void look_up_row(MotionVote *vote, const Picture *now, const uint8_t *changed, uint32_t y) {
        const uint8_t *band = changed + y / SEGMENT_TILE_HEIGHT * now->tiles_across;

        for (uint32_t x = 0; x < now->tiles_across;) {
                uint32_t first = x;
                while (x < now->tiles_across && band[x])
                        x++;
                if (x > first)
                        look_up(vote, now, first, x, y);
                else
                        x++;
        }
}

static uint32_t elect_tally(MotionVote *vote, MotionShift *ret) {
        uint32_t n = 0;

        while (n < MOTION_SHIFTS_MAX) {
                Tally *best = &vote->tally[0];
                for (uint32_t i = 1; i < TALLY_SLOTS; i++)
                        if (vote->tally[i].votes > best->votes)
                                best = &vote->tally[i];
                if (best->votes < VOTES_MIN)
                        break;
                ret[n++] = best->shift;
                best->votes = 0;
        }
        return n;
}

uint32_t motion_vote_anywhere(MotionVote *vote, const Picture *before, const Picture *now,
                              const uint8_t *changed, MotionShift *ret) {
        uint16_t bands[SEGMENT_SIDE_MAX / SEGMENT_TILE_HEIGHT];
        uint32_t n_bands = 0, n_changed = 0;

        for (uint32_t y = 0; y < now->height / SEGMENT_TILE_HEIGHT; y++) {
                uint32_t n = 0;
                for (uint32_t x = 0; x < now->tiles_across; x++)
                        n += changed[y * now->tiles_across + x] != 0;
                if (n >= ROW_TILES)
                        bands[n_bands++] = (uint16_t) y;
                n_changed += n;
        }
        add_anchors(vote, before, changed, n_changed);
        memset(vote->tally, 0, sizeof(vote->tally));
        uint32_t n = n_bands < LINES_MAX ? n_bands : LINES_MAX;
        /* Of each another row, so that not all are between lines of text. */
        for (uint32_t i = 0; i < n; i++)
                look_up_row(vote, now, changed,
                            bands[i * n_bands / n] * SEGMENT_TILE_HEIGHT + i * 3 % SEGMENT_TILE_HEIGHT);
        return elect_tally(vote, ret);
}
