/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "motion.h"

typedef struct Scene {
        Picture before, now;
        Motion *motion;
        uint8_t *changed;
        SegmentMove moves[SEGMENT_MOVES_MAX];
        uint32_t n_moves;
} Scene;

/* Something like text: dark strokes on light ground, blank lines between. */
static void paint(Picture *picture, uint32_t seed) {
        srand(seed);
        for (uint32_t y = 0; y < picture->height; y++)
                for (uint32_t x = 0; x < picture->width; x++)
                        picture->pixels[y * picture->stride + x] =
                                        y % 17 < 12 && rand() % 3 == 0 ? (uint32_t) rand() & 0x3f3f3f
                                                                       : 0xf0f0f0;
}

static void scene_init(Scene *scene, uint32_t width, uint32_t height) {
        *scene = (Scene){};
        assert_return_code(picture_init(&scene->before, width, height), 0);
        assert_return_code(picture_init(&scene->now, width, height), 0);
        assert_return_code(motion_new(&scene->motion, width, height), 0);
        scene->changed = calloc((size_t) scene->now.tiles_across * scene->now.tiles_down, 1);
        paint(&scene->before, 1);
        memcpy(scene->now.pixels, scene->before.pixels, scene->now.stride * height * 4);
}

static void scene_done(Scene *scene) {
        picture_done(&scene->before);
        picture_done(&scene->now);
        motion_free(scene->motion);
        free(scene->changed);
}

/* Shows in a rectangle what was dx, dy further, and new pixels where that is outside the rectangle. */
static void scroll(Scene *scene, uint32_t x, uint32_t y, uint32_t width, uint32_t height, int dx, int dy) {
        for (uint32_t row = 0; row < height; row++)
                for (uint32_t column = 0; column < width; column++) {
                        int64_t from_x = (int64_t) column + dx, from_y = (int64_t) row + dy;
                        bool inside = from_x >= 0 && from_x < width && from_y >= 0 && from_y < height;
                        scene->now.pixels[(y + row) * scene->now.stride + x + column] =
                                        inside ? scene->before.pixels[(y + (uint64_t) from_y) *
                                                                                      scene->before.stride +
                                                                      x + (uint64_t) from_x]
                                               : (uint32_t) rand() & 0xffffff;
                }
}

static bool tile_differs(const Picture *a, const Picture *b, uint32_t tile) {
        uint32_t left = tile % a->tiles_across * SEGMENT_TILE_WIDTH,
                 top = tile / a->tiles_across * SEGMENT_TILE_HEIGHT;

        for (uint32_t y = top; y < top + SEGMENT_TILE_HEIGHT && y < a->height; y++)
                for (uint32_t x = left; x < left + SEGMENT_TILE_WIDTH && x < a->width; x++)
                        if (a->pixels[y * a->stride + x] != b->pixels[y * b->stride + x])
                                return true;
        return false;
}

static uint32_t count(const Scene *scene) {
        uint32_t n = 0;

        for (uint32_t i = 0; i < scene->now.tiles_across * scene->now.tiles_down; i++)
                n += scene->changed[i];
        return n;
}

/* The hashes of pixels that were painted. */
static void rehash(Picture *picture) {
        const PicturePlane plane = { .pixels = (const uint8_t *) picture->pixels,
                                     .pitch = picture->stride * 4,
                                     .width = picture->width,
                                     .height = picture->height };
        draw(picture, &plane);
}

/* Finds moves, draws them as a reader does, pixel by pixel, and checks that just the tiles said to be
 * changed still differ, and that everything is in bounds. Returns their number, and in *ret_before how many
 * it was. */
static uint32_t search(Scene *scene, uint32_t *ret_before) {
        Picture *before = &scene->before, *now = &scene->now;
        uint32_t n_tiles = now->tiles_across * now->tiles_down;
        uint64_t moved = 0;
        Picture drawn;

        for (uint32_t i = 0; i < n_tiles; i++)
                scene->changed[i] = tile_differs(before, now, i);
        *ret_before = count(scene);
        rehash(before);
        rehash(now);
        scene->n_moves = motion_find(scene->motion, before, now, scene->changed, scene->moves);
        assert_true(scene->n_moves <= SEGMENT_MOVES_MAX);

        assert_return_code(picture_init(&drawn, now->width, now->height), 0);
        memcpy(drawn.pixels, before->pixels, before->stride * before->height * 4);
        for (uint32_t i = 0; i < scene->n_moves; i++) {
                const SegmentMove *move = &scene->moves[i];
                assert_true(move->width >= 1 && move->height >= 1);
                assert_true(move->x + move->width <= now->width && move->from_x + move->width <= now->width);
                assert_true(move->y + move->height <= now->height &&
                            move->from_y + move->height <= now->height);
                for (uint32_t y = 0; y < move->height; y++)
                        for (uint32_t x = 0; x < move->width; x++)
                                drawn.pixels[(move->y + y) * drawn.stride + move->x + x] =
                                                before->pixels[(move->from_y + y) * before->stride +
                                                               move->from_x + x];
                moved += (uint64_t) move->width * move->height;
        }
        assert_true(moved <= 2 * (uint64_t) now->width * now->height);
        for (uint32_t i = 0; i < n_tiles; i++)
                if (tile_differs(&drawn, now, i) && !scene->changed[i])
                        fail_msg("tile %u differs unsaid", i);
        picture_done(&drawn);
        return count(scene);
}

static void test_scrolled_window(void **state) {
        static const int shifts[][2] = { { 0, 17 }, { 0, -3 }, { 0, 100 }, { 0, 1 },
                                         { 40, 0 }, { -7, 0 }, { 200, 0 } };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(shifts); i++) {
                uint32_t before;
                Scene scene;
                scene_init(&scene, 1000, 500);
                scroll(&scene, 77, 53, 811, 402, shifts[i][0], shifts[i][1]);
                uint32_t left = search(&scene, &before);
                /* What is new, in whole tiles, and half a tile more at most. */
                uint32_t dx = (uint32_t) abs(shifts[i][0]), dy = (uint32_t) abs(shifts[i][1]);
                uint32_t new_tiles = dy > 0 ? 14 * (dy / 8 + 2) : 52 * (dx / 64 + 2);
                if (left > new_tiles || scene.n_moves == 0)
                        fail_msg("%i, %i: %u of %u tiles are left, %u were expected at most", shifts[i][0],
                                 shifts[i][1], left, before, new_tiles);
                scene_done(&scene);
        }
}

/* A window that is dragged across the picture: its pixels, from wherever it was; and below it, what was
 * hidden. */
static void test_dragged_window(void **state) {
        static const int drags[][2] = { { 64, 8 }, { -33, 21 }, { 5, -90 }, { -200, -1 }, { 130, 77 } };
        const uint32_t x = 260, y = 120, width = 500, height = 280;
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(drags); i++) {
                uint32_t before, to_x = (uint32_t) ((int) x + drags[i][0]),
                                 to_y = (uint32_t) ((int) y + drags[i][1]);
                Scene scene;
                scene_init(&scene, 1000, 500);
                for (uint32_t row = 0; row < height; row++)
                        for (uint32_t column = 0; column < width; column++)
                                scene.now.pixels[(y + row) * scene.now.stride + x + column] =
                                                (uint32_t) rand() & 0xffffff;
                for (uint32_t row = 0; row < height; row++)
                        memcpy(scene.now.pixels + (to_y + row) * scene.now.stride + to_x,
                               scene.before.pixels + (y + row) * scene.before.stride + x,
                               width * sizeof(uint32_t));
                uint32_t left = search(&scene, &before);
                /* Where it was and is no longer, in whole tiles, and those that its edges cut. */
                uint32_t dx = (uint32_t) abs(drags[i][0]), dy = (uint32_t) abs(drags[i][1]);
                uint32_t uncovered = (dx / 64 + 2) * (height / 8 + 2) + (width / 64 + 2) * (dy / 8 + 2);
                if (scene.n_moves == 0 || left > uncovered)
                        fail_msg("%i, %i: %u of %u tiles are left, %u were expected at most", drags[i][0],
                                 drags[i][1], left, before, uncovered);
                scene_done(&scene);
        }
}

static void test_two_windows(void **state) {
        uint32_t before;
        Scene scene;
        (void) state;

        scene_init(&scene, 1920, 400);
        scroll(&scene, 10, 10, 800, 380, 0, 24);
        scroll(&scene, 900, 20, 1000, 370, 0, -51);
        assert_true(search(&scene, &before) < 250);
        assert_true(before > 1000);
        scene_done(&scene);
}

static void test_nothing_in_noise(void **state) {
        uint32_t before;
        Scene scene;
        (void) state;

        scene_init(&scene, 640, 480);
        paint(&scene.now, 2);
        uint32_t left = search(&scene, &before);
        assert_int_equal(left, before);
        assert_int_equal(scene.n_moves, 0);
        scene_done(&scene);
}

static void next_film_frame(Scene *scene) {
        uint32_t before;

        for (uint32_t y = 0; y < 240; y++)
                for (uint32_t x = 0; x < 320; x++)
                        scene->now.pixels[y * scene->now.stride + x] = (uint32_t) rand() & 0xffffff;
        uint32_t left = search(scene, &before);
        assert_int_equal(left, before);
        memcpy(scene->before.pixels, scene->now.pixels, scene->now.stride * scene->now.height * 4);
}

/* Where nothing was found for long, what moves is found at once beside it, and soon in its place. */
static void test_after_a_film(void **state) {
        uint32_t before, n = 1;
        Scene scene;
        (void) state;

        scene_init(&scene, 1024, 480);
        for (unsigned i = 0; i < 9; i++)
                next_film_frame(&scene);
        scroll(&scene, 320, 0, 704, 480, 0, 24);
        uint32_t left = search(&scene, &before);
        assert_true(left < before / 4);
        memcpy(scene.before.pixels, scene.now.pixels, scene.now.stride * scene.now.height * 4);
        for (unsigned i = 0; i < 9; i++)
                next_film_frame(&scene);
        for (;; n++) {
                scroll(&scene, 0, 0, 320, 240, 0, 24);
                left = search(&scene, &before);
                if (left < before / 4)
                        break;
                memcpy(scene.before.pixels, scene.now.pixels, scene.now.stride * scene.now.height * 4);
                assert_true(n < 4);
        }
        scene_done(&scene);
}

/* Displacements that are found, match nearly everything and explain no tile: they must not stand in the way
 * of one that does. In each band of tiles above, one row is new but for pieces that moved, and the others
 * are blank; below, text moves sideways. */
static void test_after_vain_displacements(void **state) {
        const uint32_t width = 1024, height = 480, above = 360;
        uint32_t before;
        Scene scene;
        (void) state;

        scene_init(&scene, width, height);
        for (uint32_t y = 0; y < above; y++)
                for (uint32_t x = 0; x < width; x++) {
                        size_t at = y * scene.now.stride + x;
                        scene.before.pixels[at] = y % 8 == 0 ? (uint32_t) rand() & 0xffffff : 0xf0f0f0;
                        scene.now.pixels[at] = y % 8 == 0 ? (uint32_t) rand() & 0xffffff : 0xf0f0f0;
                }
        for (uint32_t y = 0; y + 32 < above; y += 8)
                for (uint32_t x = 0; x < width; x++)
                        if (x % 64 / 16 == 1)
                                scene.now.pixels[y * scene.now.stride + x] =
                                                scene.before.pixels[(y + 8 + y % 32) * scene.now.stride + x];
        scroll(&scene, 0, above, width, height - above, 40, 0);
        uint32_t left = search(&scene, &before);
        assert_int_equal(before, width / 64 * (height / 8));
        /* All that is above, and a column of tiles below. */
        assert_int_equal(left, width / 64 * (above / 8) + (height - above) / 8);
        scene_done(&scene);
}

/* Random scrolls with random damage: whatever is found must be true, search() sees to it. */
static void test_always_exact(void **state) {
        (void) state;

        for (unsigned round = 0; round < 200; round++) {
                uint32_t before, width = 64 + (uint32_t) rand() % 700, height = 32 + (uint32_t) rand() % 300;
                Scene scene;
                scene_init(&scene, width, height);
                srand(round);
                for (unsigned i = 0; i < 1 + round % 3; i++) {
                        uint32_t x = (uint32_t) rand() % (width / 2), y = (uint32_t) rand() % (height / 2);
                        bool sideways = rand() % 3 == 0;
                        bool both = rand() % 3 == 0;
                        scroll(&scene, x, y, 1 + (uint32_t) rand() % (width - x),
                               1 + (uint32_t) rand() % (height - y), sideways || both ? rand() % 80 - 40 : 0,
                               sideways && !both ? 0 : rand() % 80 - 40);
                }
                for (unsigned i = (unsigned) rand() % 30; i > 0; i--)
                        scene.now.pixels[(uint32_t) rand() % height * scene.now.stride +
                                         (uint32_t) rand() % width] ^= 1;
                (void) search(&scene, &before);
                scene_done(&scene);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scrolled_window), cmocka_unit_test(test_two_windows),
                cmocka_unit_test(test_dragged_window),  cmocka_unit_test(test_nothing_in_noise),
                cmocka_unit_test(test_after_a_film),    cmocka_unit_test(test_after_vain_displacements),
                cmocka_unit_test(test_always_exact),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
