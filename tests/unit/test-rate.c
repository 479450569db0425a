/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>

#include "cleanup.h"
#include "rate.h"

#define SECOND UINT64_C(1000000)
#define TICK   (SECOND / 5)
#define MINUTE (60 * SECOND)

typedef struct Cost {
        uint64_t bytes, coarse_bytes, cpu; /* of a frame */
        uint64_t must_bytes; /* of the first in each minute, which must be written; 0: none must */
} Cost;

typedef struct Written {
        uint64_t time, bytes, cpu;
        bool coarse;
} Written;

static Written written[20000];
static uint32_t n_written;

/* A picture that changes all the time, asked for five times a second at most. */
static void simulate(Rate *rate, const Cost *cost, uint64_t from, uint64_t until) {
        for (uint64_t now = from; now < until; now += TICK) {
                bool must = cost->must_bytes > 0 && now % MINUTE == 0;
                uint64_t bytes = must ? cost->must_bytes : rate->coarse ? cost->coarse_bytes : cost->bytes;
                bytes = bytes * (75 + (uint64_t) rand() % 51) / 100;
                if (now < rate->next && !must)
                        continue;
                bool coarse = rate->coarse;
                bool take = rate_take(rate, now, bytes, cost->cpu, must);
                assert_true(take || !must);
                written[n_written++] = (Written){ now, take ? bytes : 0, cost->cpu, coarse };
        }
}

/* The most in any minute. */
static uint64_t most(bool cpu) {
        uint64_t sum = 0, result = 0;

        for (uint32_t first = 0, last = 0; last < n_written; last++) {
                sum += cpu ? written[last].cpu : written[last].bytes;
                while (written[first].time + MINUTE <= written[last].time) {
                        sum -= cpu ? written[first].cpu : written[first].bytes;
                        first++;
                }
                result = sum > result ? sum : result;
        }
        return result;
}

static uint64_t total(uint64_t from, uint64_t until) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < n_written; i++)
                if (written[i].time >= from && written[i].time < until)
                        sum += written[i].bytes;
        return sum;
}

static void start(Rate *rate, uint64_t bytes_per_minute, uint32_t cpu_ms_per_second) {
        const RateLimits limits = { TICK, bytes_per_minute, cpu_ms_per_second };

        rate_init(rate, &limits, 0);
        n_written = 0;
}

/* Whatever frames cost, no minute has more bytes than the ceiling, and most of it is used. */
static void test_bytes_of_every_minute(void **state) {
        static const uint64_t ceilings[] = { 1000000, 3000000, 10000000, 40000000 };
        (void) state;

        for (size_t i = 0; i < ELEMENTSOF(ceilings); i++)
                for (uint64_t bytes = 20000; bytes <= 2560000; bytes *= 2) {
                        const Cost cost = { bytes, bytes / 2, 1000, 0 };
                        Rate rate;

                        start(&rate, ceilings[i], 0);
                        simulate(&rate, &cost, 0, 10 * MINUTE);
                        bool fits = bytes * 5 / 4 <= ceilings[i] / 8;
                        if (most(false) > ceilings[i] + (fits ? 0 : bytes * 5 / 4))
                                fail_msg("%lu bytes a frame: %lu of %lu", bytes, most(false), ceilings[i]);
                        uint64_t sum = total(0, 10 * MINUTE), wanted = bytes * 5 * 600;
                        wanted = wanted < ceilings[i] * 10 ? wanted : ceilings[i] * 10;
                        if (bytes <= ceilings[i] / 4 && sum < wanted / 2)
                                fail_msg("%lu bytes a frame: only %lu of %lu", bytes, sum, wanted);
                }
}

/* What must be written may go over the ceiling by itself; what follows makes up for it. */
static void test_a_frame_that_must(void **state) {
        const Cost cost = { 60000, 30000, 1000, 700000 };
        Rate rate;
        (void) state;

        start(&rate, 3000000, 0);
        simulate(&rate, &cost, 0, 20 * MINUTE);
        assert_true(most(false) <= 3000000 + 700000 * 5 / 4);
        assert_true(total(0, 20 * MINUTE) <= 20 * 3000000);
        for (uint32_t i = 0; i < n_written; i++)
                if (written[i].time % MINUTE == 0)
                        assert_true(written[i].bytes >= 700000 * 3 / 4);
}

static void test_processor_time(void **state) {
        const Cost cost = { 0, 0, 30000000, 0 }; /* 30 ms */
        Rate rate;
        (void) state;

        start(&rate, 0, 60);
        simulate(&rate, &cost, 0, 10 * MINUTE);
        /* Of a minute, what the bucket held, and one frame. */
        assert_true(most(true) <= UINT64_C(60000000) * 60 + UINT64_C(60000000) * 2 + cost.cpu);
        assert_true(most(true) > UINT64_C(60000000) * 40);
        assert_true(rate.why == RATE_CPU && rate.interval > TICK);
        assert_false(rate.coarse); /* fewer frames were enough */
}

/* Frames that take long become fewer and fewer, but not coarse, as that would not make them quicker. */
static void test_coarse_is_for_bytes_alone(void **state) {
        const Cost cost = { 20000, 10000, 400000000, 0 }; /* 400 ms */
        Rate rate;
        (void) state;

        start(&rate, 60000000, 60);
        simulate(&rate, &cost, 0, 10 * MINUTE);
        assert_true(rate.why == RATE_CPU && rate.interval > RATE_SLOW);
        for (uint32_t i = 0; i < n_written; i++)
                assert_false(written[i].coarse);
}

/* What is written besides frames counts, also beside those that are not taken. */
static void test_everything_written_counts(void **state) {
        Rate rate;
        (void) state;

        start(&rate, 8000000, 0); /* a bucket of 1,000,000 bytes, and 7,000,000 a minute */
        assert_true(rate_take(&rate, 0, 900000, 0, false));
        rate_charge(&rate, 50000);
        assert_false(rate_take(&rate, 0, 60000, 0, false));
        assert_true(rate_take(&rate, 0, 50000, 0, false));
        rate_charge(&rate, 700000);
        assert_false(rate_take(&rate, 6 * SECOND - 1, 1, 0, false));
        assert_true(rate_take(&rate, 6 * SECOND + 10, 1, 0, false));
}

/* Fewer frames, then coarse ones, and back. */
static void test_order_of_measures(void **state) {
        const Cost film = { 300000, 100000, 1000, 0 }, typing = { 3000, 3000, 1000, 0 };
        uint64_t slow = 0, coarse = 0;
        Rate rate;
        (void) state;

        start(&rate, 6000000, 0);
        simulate(&rate, &film, 0, 2 * MINUTE);
        for (uint32_t i = 1; i < n_written; i++) {
                if (slow == 0 && written[i].time - written[i - 1].time > RATE_SLOW)
                        slow = written[i].time;
                if (coarse == 0 && written[i].coarse)
                        coarse = written[i].time;
        }
        assert_true(slow > 0 && coarse >= slow);
        assert_true(rate.coarse && rate.why == RATE_BYTES);
        for (uint32_t i = 0; i < n_written; i++)
                assert_true(written[i].coarse == (written[i].time > slow) || written[i].time <= coarse);
        simulate(&rate, &typing, 2 * MINUTE, 3 * MINUTE);
        assert_false(rate.coarse);
        assert_int_equal(rate.interval, TICK);
        assert_int_equal(rate.why, 0);
}

/* A burst is no reason to slow down. */
static void test_a_burst_passes(void **state) {
        const Cost typing = { 3000, 3000, 1000, 0 };
        Rate rate;
        (void) state;

        start(&rate, 6000000, 100);
        simulate(&rate, &typing, 0, 60 * SECOND);
        assert_true(rate_take(&rate, 60 * SECOND, 300000, 10000000, false));
        assert_int_equal(rate.interval, TICK);
        simulate(&rate, &typing, 60 * SECOND + TICK, 120 * SECOND);
        assert_int_equal(n_written, 599);
}

static void test_no_ceiling(void **state) {
        const Cost film = { 3000000, 3000000, 900000000, 0 };
        SegmentRate last = { .interval = TICK }, news;
        Rate rate;
        (void) state;

        start(&rate, 0, 0);
        simulate(&rate, &film, 0, MINUTE);
        assert_int_equal(n_written, 300);
        assert_int_equal(total(0, MINUTE) > 0, 1);
        assert_false(rate_news(&rate, &last, MINUTE, &news));
}

/* Coarse at once, the rest once a second. */
static void test_what_is_said(void **state) {
        Rate rate = { .interval = TICK };
        SegmentRate last = { .time = SECOND, .interval = TICK }, news;
        (void) state;

        assert_false(rate_news(&rate, &last, 10 * SECOND, &news));
        rate.interval = TICK + TICK / 5;
        assert_false(rate_news(&rate, &last, 10 * SECOND, &news));
        rate.interval = 2 * TICK;
        rate.why = RATE_CPU;
        assert_false(rate_news(&rate, &last, 2 * SECOND - 1, &news));
        assert_true(rate_news(&rate, &last, 2 * SECOND, &news));
        assert_int_equal(news.interval, 2 * TICK);
        assert_int_equal(news.flags, SEGMENT_RATE_CPU);
        rate.coarse = true;
        assert_true(rate_news(&rate, &last, SECOND, &news));
        assert_int_equal(news.flags, SEGMENT_RATE_CPU | SEGMENT_RATE_COARSE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes_of_every_minute),
                cmocka_unit_test(test_a_frame_that_must),
                cmocka_unit_test(test_processor_time),
                cmocka_unit_test(test_order_of_measures),
                cmocka_unit_test(test_a_burst_passes),
                cmocka_unit_test(test_no_ceiling),
                cmocka_unit_test(test_what_is_said),
                cmocka_unit_test(test_coarse_is_for_bytes_alone),
                cmocka_unit_test(test_everything_written_counts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
