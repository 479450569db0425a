/* SPDX-License-Identifier: Apache-2.0 */
#include "motion.h"

#include <stdlib.h>
#include <string.h>

#include "motion-vote.h"
#include "pixels.h"

#define CHANGED_MIN 8U  /* tiles; fewer are cheaper sent than searched for */
#define MANY_MIN    64U /* for them it is worth looking everywhere */
#define FEW_DIVISOR 8U  /* what a scrolled window leaves over, of all that has changed */
#define VAIN_MAX    3U  /* a search that found nothing so often … */
#define VAIN_STEP   4U  /* … is made every so many times */
#define MATCHES_MIN 4U  /* changed tiles that a displacement must have to do with */
#define SHARE_MIN                                                                                           \
        5U /* per cent of the changed tiles that must match for a displacement to be compared; …          \
            */
#define SHARE_LAST 50U /* … for the last one to be taken without a vote */
#define ROWS_MIN   4U  /* of a rectangle */
#define PROBES     200U
#define ROUNDS     3U /* of merging what the rectangles before left over */
#define SIDE_TILES (SEGMENT_SIDE_MAX / SEGMENT_TILE_WIDTH)

/* How often a search was made since it found something, and the changed tiles when it was made last. */
typedef struct Vain {
        uint32_t n, area;
} Vain;

/* Matching rows from top to below end, in one column of tiles. */
typedef struct Interval {
        uint32_t top, end;
} Interval;

struct Motion {
        MotionVote *vote;
        uint8_t *match;          /* a byte a tile, a bit a row: equal under the displacement at hand */
        uint8_t *covered;        /* likewise: a move draws the whole row of the tile */
        uint8_t *touched;        /* a byte a tile: a move draws on it */
        uint8_t *saved;          /* changed, to go back to */
        Interval *column, *next; /* of one column of tiles each */
        uint32_t n_moves;
        Vain all, everywhere, sideways;
        MotionShift last; /* the first displacement that had moves in the last frame that had some */
        uint64_t moved;   /* pixels, of all moves */
        SegmentMove *moves;
        MotionShift shift; /* the displacement at hand */
        const Picture *before, *now;
        const PixelLoops *loops;
        uint8_t *changed;
};

int motion_new(Motion **ret, uint32_t width, uint32_t height) {
        _cleanup_(motion_freep) Motion *motion = calloc(1, sizeof(*motion));
        size_t down = segment_tiles_down(height), tiles = segment_tiles_across(width) * down;
        int r;

        if (!motion)
                return -ENOMEM;
        motion->match = malloc(tiles);
        motion->covered = malloc(tiles);
        motion->touched = malloc(tiles);
        motion->saved = malloc(tiles);
        motion->column = calloc(down * SEGMENT_TILE_HEIGHT, sizeof(Interval));
        motion->next = calloc(down * SEGMENT_TILE_HEIGHT, sizeof(Interval));
        if (!motion->match || !motion->covered || !motion->touched || !motion->saved || !motion->column ||
            !motion->next)
                return -ENOMEM;
        motion->loops = pixel_loops();
        r = motion_vote_new(&motion->vote, width, height);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(motion);
        return 0;
}

Motion *motion_free(Motion *motion) {
        if (!motion)
                return NULL;
        motion_vote_free(motion->vote);
        free(motion->match);
        free(motion->covered);
        free(motion->touched);
        free(motion->saved);
        free(motion->column);
        free(motion->next);
        free(motion);
        return NULL;
}

static uint32_t min(uint32_t a, uint32_t b) {
        return a < b ? a : b;
}

static uint32_t max(uint32_t a, uint32_t b) {
        return a > b ? a : b;
}

static const uint32_t *pixel(const Picture *picture, uint32_t x, uint32_t y) {
        return picture->pixels + (size_t) y * picture->stride + x;
}

/* The same where tiles lie over tiles. */
static void match_hashes(const Motion *motion, uint32_t first, uint32_t end, uint32_t y, uint32_t before_y,
                         uint8_t bit, uint8_t *match) {
        const RowHash *now = picture_hashes(motion->now, y),
                      *before = picture_hashes(motion->before, before_y);

        for (uint32_t x = first; x < end; x++)
                if (row_hash_equal(&now[x], &before[x]))
                        match[x] |= bit;
}

/* Compares one row of the tiles from first to below end. */
static void match_row(const Motion *motion, uint32_t first, uint32_t end, uint32_t y, uint8_t bit,
                      uint8_t *match) {
        uint32_t width = motion->now->width, whole = width / SEGMENT_TILE_WIDTH;
        uint32_t before_y = (uint32_t) ((int64_t) y + motion->shift.dy);
        const uint32_t *now = pixel(motion->now, 0, y);
        const uint32_t *before = pixel(motion->before, 0, before_y) + motion->shift.dx;

        if (motion->shift.dx == 0) {
                match_hashes(motion, first, end, y, before_y, bit, match);
                return;
        }
        if (first < whole) {
                size_t at = (size_t) first * SEGMENT_TILE_WIDTH;
                motion->loops->match(now + at, before + at, min(end, whole) - first, bit, match + first);
        }
        size_t at = (size_t) whole * SEGMENT_TILE_WIDTH;
        if (end > whole && memcmp(now + at, before + at, (width - at) * sizeof(uint32_t)) == 0)
                match[whole] |= bit;
}

/* Tiles that are wholly inside the picture under the displacement: from *ret_first to below what it returns.
 */
static uint32_t inside_tiles(const Motion *motion, uint32_t *ret_first) {
        const Picture *now = motion->now;
        uint32_t distance = (uint32_t) abs(motion->shift.dx);

        if (motion->shift.dx < 0) {
                *ret_first = (distance + SEGMENT_TILE_WIDTH - 1) / SEGMENT_TILE_WIDTH;
                return now->tiles_across;
        }
        *ret_first = 0;
        return distance == 0 ? now->tiles_across : (now->width - distance) / SEGMENT_TILE_WIDTH;
}

/* Finds the rows of tiles that are, displaced, those of the picture before: of what is changed, and of what
 * is not but lies below a match, so that rectangles are not cut up by it. Band by band, as the pictures lie
 * in memory. Returns the number of changed tiles with a match. */
static uint32_t match_all(Motion *motion) {
        const Picture *now = motion->now;
        uint32_t first, end = inside_tiles(motion, &first), n = 0;
        uint8_t *match = motion->match;

        memset(match, 0, now->tiles_across * now->tiles_down);
        for (uint32_t y = 0; y < now->tiles_down; y++, match += now->tiles_across) {
                const uint8_t *changed = motion->changed + y * now->tiles_across;
                uint32_t x = first;
                while (x < end) {
                        uint32_t from = x;
                        while (x < end && (changed[x] || (y > 0 && *(match + x - now->tiles_across) & 0x80)))
                                x++;
                        if (x == from) {
                                x++;
                                continue;
                        }
                        for (uint32_t row = 0; row < SEGMENT_TILE_HEIGHT; row++) {
                                int64_t at = (int64_t) y * SEGMENT_TILE_HEIGHT + row,
                                        before = at + motion->shift.dy;
                                if (at < now->height && before >= 0 && before < now->height)
                                        match_row(motion, from, x, (uint32_t) at, (uint8_t) (1U << row),
                                                  match);
                        }
                }
                for (x = first; x < end; x++)
                        n += changed[x] && match[x];
        }
        return n;
}

/* The intervals of a column of tiles that are worth a rectangle: long enough and with a changed tile. */
static uint32_t find_intervals(const Motion *motion, uint32_t x, Interval *ret) {
        const Picture *now = motion->now;
        uint32_t n = 0, top = 0, last_changed = 0; /* row below the last changed tile */
        bool inside = false;

        for (uint32_t y = 0; y <= now->tiles_down; y++) {
                uint32_t tile = y * now->tiles_across + x;
                uint8_t match = y < now->tiles_down ? motion->match[tile] : 0;

                if (match == (inside ? 0xff : 0)) {
                        if (inside && motion->changed[tile])
                                last_changed = (y + 1) * SEGMENT_TILE_HEIGHT;
                        if (y < now->tiles_down)
                                continue;
                }
                for (uint32_t row = y * SEGMENT_TILE_HEIGHT; row < (y + 1) * SEGMENT_TILE_HEIGHT; row++) {
                        bool matches = match & 1U << row % SEGMENT_TILE_HEIGHT;
                        if (matches && !inside)
                                top = row;
                        if (matches && motion->changed[tile])
                                last_changed = row + 1;
                        if (!matches && inside && last_changed >= top + ROWS_MIN)
                                ret[n++] = (Interval){ top, last_changed };
                        inside = matches;
                }
        }
        return n;
}

/* The interval among n that shares most rows with what we have, if it is nearly the same. */
static Interval *similar(Interval *intervals, uint32_t n, Interval with) {
        for (uint32_t i = 0; i < n; i++) {
                Interval *candidate = &intervals[i];
                uint32_t top = max(candidate->top, with.top), end = min(candidate->end, with.end);
                if (top < end &&
                    (end - top) * 5 >= (max(candidate->end, with.end) - min(candidate->top, with.top)) * 4)
                        return candidate;
        }
        return NULL;
}

/* How many pixels left of column x match in all rows, up to a tile's width less one. */
static uint32_t widen_left(const Motion *motion, uint32_t x, Interval rows) {
        int64_t from_x = (int64_t) x + motion->shift.dx;
        uint32_t n = min(SEGMENT_TILE_WIDTH - 1, min(x, (uint32_t) from_x));

        for (uint32_t y = rows.top; y < rows.end && n > 0; y++) {
                const uint32_t *now = pixel(motion->now, x, y);
                const uint32_t *before = pixel(motion->before, (uint32_t) from_x,
                                               (uint32_t) ((int64_t) y + motion->shift.dy));
                if (memcmp(now - n, before - n, n * sizeof(uint32_t)) == 0)
                        continue;
                for (uint32_t i = 1; i <= n; i++)
                        if (*(now - i) != *(before - i))
                                n = i - 1;
        }
        return n;
}

/* Likewise from column x to the right. */
static uint32_t widen_right(const Motion *motion, uint32_t x, Interval rows) {
        int64_t from_x = (int64_t) x + motion->shift.dx;
        uint32_t width = motion->now->width;
        uint32_t n = min(SEGMENT_TILE_WIDTH - 1, min(width - x, width - (uint32_t) from_x));

        for (uint32_t y = rows.top; y < rows.end && n > 0; y++) {
                const uint32_t *now = pixel(motion->now, x, y);
                const uint32_t *before = pixel(motion->before, (uint32_t) from_x,
                                               (uint32_t) ((int64_t) y + motion->shift.dy));
                if (memcmp(now, before, n * sizeof(uint32_t)) == 0)
                        continue;
                for (uint32_t i = 0; i < n; i++)
                        if (now[i] != before[i])
                                n = i;
        }
        return n;
}

/* Whether the column of tiles has a changed one beside the rows: one that widening may explain. */
static bool changed_beside(const Motion *motion, uint32_t x, Interval rows) {
        for (uint32_t y = rows.top / SEGMENT_TILE_HEIGHT; y * SEGMENT_TILE_HEIGHT < rows.end; y++)
                if (motion->changed[y * motion->now->tiles_across + x])
                        return true;
        return false;
}

/* Notes what a move draws. */
static void mark_move(Motion *motion, const SegmentMove *move) {
        const Picture *now = motion->now;
        uint32_t right = move->x + move->width, end = move->y + move->height;

        for (uint32_t y = move->y / SEGMENT_TILE_HEIGHT; y * SEGMENT_TILE_HEIGHT < end; y++) {
                uint32_t top = y * SEGMENT_TILE_HEIGHT;
                uint32_t rows = (1U << min(end - top, SEGMENT_TILE_HEIGHT)) - 1;
                if (move->y > top)
                        rows &= ~0U << (move->y - top);
                for (uint32_t x = move->x / SEGMENT_TILE_WIDTH; x * SEGMENT_TILE_WIDTH < right; x++) {
                        uint32_t left = x * SEGMENT_TILE_WIDTH, tile = y * now->tiles_across + x;
                        motion->touched[tile] = 1;
                        if (left >= move->x && min(left + SEGMENT_TILE_WIDTH, now->width) <= right)
                                motion->covered[tile] |= (uint8_t) rows;
                }
        }
}

static void mark_moves(Motion *motion) {
        uint32_t n_tiles = motion->now->tiles_across * motion->now->tiles_down;

        memset(motion->covered, 0, n_tiles);
        memset(motion->touched, 0, n_tiles);
        for (uint32_t i = 0; i < motion->n_moves; i++)
                mark_move(motion, &motion->moves[i]);
}

static bool add_move(Motion *motion, uint32_t first, uint32_t end, Interval rows) {
        const Picture *now = motion->now;
        uint32_t left = first * SEGMENT_TILE_WIDTH, right = min(end * SEGMENT_TILE_WIDTH, now->width);

        if (first > 0 && changed_beside(motion, first - 1, rows))
                left -= widen_left(motion, left, rows);
        if (end < now->tiles_across && changed_beside(motion, end, rows))
                right += widen_right(motion, right, rows);
        uint64_t pixels = (uint64_t) (right - left) * (rows.end - rows.top);
        if (motion->moved + pixels > 2 * (uint64_t) now->width * now->height)
                return false;
        motion->moved += pixels;
        SegmentMove *move = &motion->moves[motion->n_moves++];
        *move = (SegmentMove){
                .x = left,
                .y = rows.top,
                .width = right - left,
                .height = rows.end - rows.top,
                .from_x = (uint32_t) ((int64_t) left + motion->shift.dx),
                .from_y = (uint32_t) ((int64_t) rows.top + motion->shift.dy),
        };
        mark_move(motion, move);
        for (uint32_t y = rows.top / SEGMENT_TILE_HEIGHT; y * SEGMENT_TILE_HEIGHT < rows.end; y++)
                for (uint32_t x = first; x < end; x++)
                        motion->match[y * now->tiles_across + x] &=
                                        (uint8_t) ~motion->covered[y * now->tiles_across + x];
        return true;
}

/* In which columns of tiles a changed one matches: the others have no intervals. */
static void find_columns(const Motion *motion, uint8_t *ret) {
        const Picture *now = motion->now;
        const uint8_t *match = motion->match, *changed = motion->changed;

        memset(ret, 0, now->tiles_across);
        for (uint32_t y = 0; y < now->tiles_down; y++)
                for (uint32_t x = 0; x < now->tiles_across; x++)
                        ret[x] |= changed[y * now->tiles_across + x] ? match[y * now->tiles_across + x] : 0;
}

/* Makes one round of rectangles from what still matches; returns whether any was made. */
static bool merge(Motion *motion) {
        const Picture *now = motion->now;
        uint8_t columns[SIDE_TILES];
        bool made = false;

        find_columns(motion, columns);
        for (uint32_t x = 0; x < now->tiles_across; x++) {
                if (!columns[x])
                        continue;
                uint32_t n = find_intervals(motion, x, motion->column);
                for (uint32_t i = 0; i < n && motion->n_moves < SEGMENT_MOVES_MAX; i++) {
                        Interval rows = motion->column[i];
                        uint32_t end = x + 1;
                        for (; end < now->tiles_across && columns[end]; end++) {
                                uint32_t n_next = find_intervals(motion, end, motion->next);
                                const Interval *more = similar(motion->next, n_next, rows);
                                if (!more)
                                        break;
                                rows = (Interval){ max(rows.top, more->top), min(rows.end, more->end) };
                        }
                        if (add_move(motion, x, end, rows))
                                made = true;
                }
        }
        return made;
}

/* What a decoder will have of one row of a tile. */
static void compose_row(const Motion *motion, uint32_t x, uint32_t y, uint32_t width, uint32_t *ret) {
        memcpy(ret, pixel(motion->before, x, y), width * sizeof(uint32_t));
        for (uint32_t i = 0; i < motion->n_moves; i++) {
                const SegmentMove *move = &motion->moves[i];
                uint32_t left = max(move->x, x), right = min(move->x + move->width, x + width);
                if (y < move->y || y - move->y >= move->height || left >= right)
                        continue;
                memcpy(ret + (left - x),
                       pixel(motion->before, move->from_x + (left - move->x), move->from_y + (y - move->y)),
                       (right - left) * sizeof(uint32_t));
        }
}

/* Whether a tile that moves draw on is then as it is now. */
static bool explained(const Motion *motion, uint32_t across, uint32_t down, uint8_t covered) {
        const Picture *now = motion->now;
        uint32_t x = across * SEGMENT_TILE_WIDTH, y = down * SEGMENT_TILE_HEIGHT;
        uint32_t width = min(SEGMENT_TILE_WIDTH, now->width - x),
                 height = min(SEGMENT_TILE_HEIGHT, now->height - y);
        uint32_t pixels[SEGMENT_TILE_WIDTH];

        for (uint32_t row = 0; row < height; row++) {
                if (covered & 1U << row)
                        continue;
                compose_row(motion, x, y + row, width, pixels);
                if (memcmp(pixels, pixel(now, x, y + row), width * sizeof(uint32_t)) != 0)
                        return false;
        }
        return true;
}

/* Clears the mark of changed tiles that the moves explain; returns their number. A move draws pixels as they
 * are now, no others, so a tile that was not changed stays so. */
static uint32_t explain(Motion *motion) {
        const Picture *now = motion->now;
        uint32_t n = 0;

        for (uint32_t y = 0; y < now->tiles_down; y++)
                for (uint32_t x = 0; x < now->tiles_across; x++) {
                        uint32_t tile = y * now->tiles_across + x;
                        if (motion->changed[tile] && motion->touched[tile] &&
                            explained(motion, x, y, motion->covered[tile])) {
                                motion->changed[tile] = 0;
                                n++;
                        }
                }
        return n;
}

static uint32_t count_changed(const Motion *motion) {
        uint32_t n = 0;

        for (uint32_t i = 0; i < motion->now->tiles_across * motion->now->tiles_down; i++)
                n += motion->changed[i] != 0;
        return n;
}

/* Whether it is worth comparing everything: a few of the changed tiles say so. Votes are wrong about video
 * and about windows that come and go. */
static bool probe(const Motion *motion, uint32_t n_changed, uint32_t percent) {
        const Picture *now = motion->now;
        uint32_t step = n_changed / PROBES + 1, n = 0, n_probed = 0, n_match = 0, first;
        uint32_t end = inside_tiles(motion, &first);

        for (uint32_t y = 0; y < now->tiles_down; y++)
                for (uint32_t x = first; x < end; x++) {
                        uint8_t match[SEGMENT_SIDE_MAX / SEGMENT_TILE_WIDTH];
                        int64_t row = (int64_t) y * SEGMENT_TILE_HEIGHT + SEGMENT_TILE_HEIGHT / 2;
                        if (!motion->changed[y * now->tiles_across + x] || n++ % step != 0)
                                continue;
                        n_probed++;
                        if (row >= now->height || row + motion->shift.dy < 0 ||
                            row + motion->shift.dy >= now->height)
                                continue;
                        match[x] = 0;
                        match_row(motion, x, x + 1, (uint32_t) row, 1, match);
                        n_match += match[x];
                }
        return n_match * 100 >= n_probed * percent;
}

/* Takes what the moves of one displacement explain, unless they are as many as that. */
static void try_shift(Motion *motion, uint32_t percent) {
        uint32_t n_tiles = motion->now->tiles_across * motion->now->tiles_down, n_moves = motion->n_moves;
        uint32_t n_changed = count_changed(motion);
        uint64_t moved = motion->moved;

        if (n_changed < MATCHES_MIN || !probe(motion, n_changed, percent) || match_all(motion) < MATCHES_MIN)
                return;
        for (uint32_t round = 0; round < ROUNDS && merge(motion); round++)
                ;
        if (motion->n_moves == n_moves)
                return;
        memcpy(motion->saved, motion->changed, n_tiles);
        if (explain(motion) >= motion->n_moves - n_moves) {
                if (n_moves == 0)
                        motion->last = motion->shift;
                return;
        }
        memcpy(motion->changed, motion->saved, n_tiles);
        motion->n_moves = n_moves;
        motion->moved = moved;
        mark_moves(motion);
}

static void try_shifts(Motion *motion, const MotionShift *shifts, uint32_t n_shifts) {
        for (uint32_t i = 0; i < n_shifts && motion->n_moves < SEGMENT_MOVES_MAX; i++) {
                motion->shift = shifts[i];
                try_shift(motion, SHARE_MIN);
        }
}

/* Films change the same area again and again, and nothing moves there that could be found. When more changes
 * than that, it is looked at anew. */
static bool in_vain(Vain *vain, uint32_t n_changed) {
        if (vain->n++ >= VAIN_MAX && vain->n % VAIN_STEP != 0 && n_changed <= vain->area + vain->area / 4)
                return true;
        vain->area = n_changed;
        return false;
}

typedef uint32_t (*Vote)(MotionVote *vote, const Picture *before, const Picture *now, const uint8_t *changed,
                         MotionShift *ret);

static void vote_and_try(Motion *motion, Vote vote, Vain *vain) {
        MotionShift shifts[MOTION_SHIFTS_MAX];
        uint32_t n_moves = motion->n_moves;

        if (vain && in_vain(vain, count_changed(motion)))
                return;
        try_shifts(motion, shifts, vote(motion->vote, motion->before, motion->now, motion->changed, shifts));
        if (vain && motion->n_moves > n_moves)
                vain->n = 0;
}

static void search(Motion *motion, uint32_t n_changed) {
        /* Who scrolls goes on scrolling. */
        motion->shift = motion->last;
        if (motion->last.dx != 0 || motion->last.dy != 0)
                try_shift(motion, SHARE_LAST);
        if (count_changed(motion) * FEW_DIVISOR <= n_changed)
                return;
        vote_and_try(motion, motion_vote_vertical, NULL);
        if (count_changed(motion) < CHANGED_MIN)
                return;
        if (count_changed(motion) >= MANY_MIN)
                vote_and_try(motion, motion_vote_anywhere, &motion->everywhere);
        if (count_changed(motion) < CHANGED_MIN)
                return;
        /* Narrow things are found only so. */
        vote_and_try(motion, motion_vote_horizontal, &motion->sideways);
}

uint32_t motion_find(Motion *motion, const Picture *before, const Picture *now, uint8_t *changed,
                     SegmentMove *ret_moves) {
        motion->before = before;
        motion->now = now;
        motion->changed = changed;
        motion->moves = ret_moves;
        motion->n_moves = 0;
        motion->moved = 0;
        uint32_t n_changed = count_changed(motion);
        if (n_changed < CHANGED_MIN || (n_changed >= MANY_MIN && in_vain(&motion->all, n_changed)))
                return 0;
        mark_moves(motion);
        search(motion, n_changed);
        if (motion->n_moves > 0)
                motion->all.n = 0;
        return motion->n_moves;
}
