/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "grant.h"

#define SECOND UINT64_C(1000000000)
#define NOW    (1000 * SECOND)

static struct wire_control_grant message(uint64_t outputs, uint64_t min_interval, uint64_t expires) {
        return (struct wire_control_grant){
                .type = WIRE_CONTROL_GRANT,
                .outputs = outputs,
                .min_interval = min_interval,
                .expires = expires,
        };
}

static int set(Grant *grant, uint64_t outputs, uint64_t min_interval, uint64_t expires, uint64_t now) {
        struct wire_control_grant m = message(outputs, min_interval, expires);
        return grant_set(grant, &m, now);
}

static enum wire_reason check(const Grant *grant, uint32_t output, uint64_t now, uint64_t *not_before) {
        uint64_t ignored = 77;
        return grant_check(grant, output, now, not_before ?: &ignored);
}

static void assert_nothing_granted(const Grant *grant, uint64_t now) {
        for (uint32_t output = 0; output < 70; output++) {
                uint64_t not_before = 77;
                assert_int_equal(check(grant, output, now, &not_before), WIRE_REASON_NO_GRANT);
                assert_int_equal(not_before, 0);
        }
        assert_int_equal(grant_expires(grant, now), 0);
}

static void test_nothing_without_a_grant(void **state _unused_) {
        Grant grant = {};

        assert_nothing_granted(&grant, 0);
        assert_nothing_granted(&grant, NOW);
        assert_nothing_granted(&grant, UINT64_MAX);
}

static void test_only_the_outputs_in_the_mask(void **state _unused_) {
        Grant grant = {};

        assert_int_equal(set(&grant, UINT64_C(1) << 63 | 1 << 2, SECOND, NOW + SECOND, NOW), 0);
        for (uint32_t output = 0; output < 64; output++)
                assert_int_equal(check(&grant, output, NOW, NULL),
                                 output == 2 || output == 63 ? WIRE_REASON_NONE : WIRE_REASON_NO_GRANT);
}

static void test_ids_that_are_no_bits_are_never_granted(void **state _unused_) {
        static const uint32_t ids[] = { 64, 65, 66, 127, 128, 256, 1U << 31, UINT32_MAX };
        Grant grant = {};

        assert_int_equal(set(&grant, UINT64_MAX, SECOND, NOW + SECOND, NOW), 0);
        for (size_t i = 0; i < ELEMENTSOF(ids); i++)
                assert_int_equal(check(&grant, ids[i], NOW, NULL), WIRE_REASON_NO_GRANT);
}

static void test_ends_at_its_expiry(void **state _unused_) {
        Grant grant = {};

        assert_int_equal(set(&grant, UINT64_MAX, SECOND, NOW + 5 * SECOND, NOW), 0);
        assert_int_equal(check(&grant, 0, NOW + 5 * SECOND - 1, NULL), WIRE_REASON_NONE);
        assert_int_equal(grant_expires(&grant, NOW + 5 * SECOND - 1), NOW + 5 * SECOND);
        assert_nothing_granted(&grant, NOW + 5 * SECOND);
        assert_nothing_granted(&grant, UINT64_MAX);
}

static void test_revoked_at_once(void **state _unused_) {
        Grant grant = {};

        assert_int_equal(set(&grant, UINT64_MAX, SECOND, NOW + SECOND, NOW), 0);
        grant_revoke(&grant);
        assert_nothing_granted(&grant, NOW);
}

static void test_limits(void **state _unused_) {
        static const struct {
                uint64_t min_interval, expires, now;
                int result;
        } cases[] = {
                { WIRE_GRANT_INTERVAL_MIN, NOW + 1, NOW, 0 },
                { WIRE_GRANT_INTERVAL_MIN, NOW + WIRE_GRANT_LIFETIME_MAX, NOW, 0 },
                { UINT64_MAX, NOW + 1, NOW, 0 },
                { WIRE_GRANT_INTERVAL_MIN - 1, NOW + 1, NOW, -EINVAL },
                { 0, NOW + 1, NOW, -EINVAL },
                { SECOND, NOW + WIRE_GRANT_LIFETIME_MAX + 1, NOW, -EINVAL },
                { SECOND, UINT64_MAX, NOW, -EINVAL },
                { SECOND, UINT64_MAX, 0, -EINVAL },
                { SECOND, NOW, NOW, -ETIME },
                { SECOND, NOW - 1, NOW, -ETIME },
                { SECOND, 0, NOW, -ETIME },
                { SECOND, 0, 0, -ETIME },
                /* now + WIRE_GRANT_LIFETIME_MAX would wrap around */
                { SECOND, UINT64_MAX, UINT64_MAX - 1, 0 },
                { SECOND, UINT64_MAX, UINT64_MAX, -ETIME },
                { SECOND, 5, UINT64_MAX - 1, -ETIME },
                { SECOND, UINT64_MAX, UINT64_MAX - WIRE_GRANT_LIFETIME_MAX, 0 },
                { SECOND, UINT64_MAX, UINT64_MAX - WIRE_GRANT_LIFETIME_MAX - 1, -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Grant grant = {};
                int r = set(&grant, UINT64_MAX, cases[i].min_interval, cases[i].expires, cases[i].now);

                if (r != cases[i].result)
                        fail_msg("case %zu: %d instead of %d", i, r, cases[i].result);
                if (r < 0)
                        assert_nothing_granted(&grant, cases[i].now);
                else
                        assert_int_equal(check(&grant, 0, cases[i].now, NULL), WIRE_REASON_NONE);
        }
}

static void test_reserved_is_zero(void **state _unused_) {
        struct wire_control_grant m = message(UINT64_MAX, SECOND, NOW + SECOND);
        Grant grant = {};

        m.reserved = 1;
        assert_int_equal(grant_set(&grant, &m, NOW), -EINVAL);
        assert_nothing_granted(&grant, NOW);
}

static void test_a_refused_grant_leaves_none(void **state _unused_) {
        Grant grant = {};

        assert_int_equal(set(&grant, UINT64_MAX, SECOND, NOW + 9 * SECOND, NOW), 0);
        assert_int_equal(set(&grant, UINT64_MAX, 1, NOW + 9 * SECOND, NOW), -EINVAL);
        assert_nothing_granted(&grant, NOW);
        assert_int_equal(set(&grant, UINT64_MAX, SECOND, NOW + 9 * SECOND, NOW), 0);
        assert_int_equal(set(&grant, UINT64_MAX, SECOND, NOW - 1, NOW), -ETIME);
        assert_nothing_granted(&grant, NOW);
}

static void test_a_new_grant_replaces_all_of_the_old(void **state _unused_) {
        Grant grant = {};

        assert_int_equal(set(&grant, 1, SECOND, NOW + 9 * SECOND, NOW), 0);
        assert_int_equal(set(&grant, 2, SECOND, NOW + 2 * SECOND, NOW), 0);
        assert_int_equal(check(&grant, 0, NOW, NULL), WIRE_REASON_NO_GRANT);
        assert_int_equal(check(&grant, 1, NOW, NULL), WIRE_REASON_NONE);
        assert_nothing_granted(&grant, NOW + 3 * SECOND);
}

static void test_interval_of_each_output(void **state _unused_) {
        Grant grant = {};
        uint64_t not_before;

        assert_int_equal(set(&grant, UINT64_MAX, SECOND, NOW + 9 * SECOND, NOW), 0);
        grant_served(&grant, 3, NOW);
        assert_int_equal(check(&grant, 3, NOW, &not_before), WIRE_REASON_TOO_SOON);
        assert_int_equal(not_before, NOW + SECOND);
        assert_int_equal(check(&grant, 3, NOW + SECOND - 1, &not_before), WIRE_REASON_TOO_SOON);
        assert_int_equal(not_before, NOW + SECOND);
        assert_int_equal(check(&grant, 3, NOW + SECOND, &not_before), WIRE_REASON_NONE);
        assert_int_equal(not_before, 0);
        assert_int_equal(check(&grant, 4, NOW, &not_before), WIRE_REASON_NONE);
        assert_int_equal(not_before, 0);
}

static void test_a_frame_at_time_zero_counts(void **state _unused_) {
        Grant grant = {};

        assert_int_equal(set(&grant, UINT64_MAX, SECOND, 9 * SECOND, 0), 0);
        grant_served(&grant, 0, 0);
        assert_int_equal(check(&grant, 0, SECOND - 1, NULL), WIRE_REASON_TOO_SOON);
        assert_int_equal(check(&grant, 0, SECOND, NULL), WIRE_REASON_NONE);
}

static void test_renewing_resets_no_interval(void **state _unused_) {
        Grant grant = {};

        assert_int_equal(set(&grant, UINT64_MAX, SECOND, NOW + 9 * SECOND, NOW), 0);
        grant_served(&grant, 63, NOW);
        assert_int_equal(set(&grant, UINT64_MAX, SECOND, NOW + 9 * SECOND, NOW + 1), 0);
        assert_int_equal(check(&grant, 63, NOW + 1, NULL), WIRE_REASON_TOO_SOON);
        grant_revoke(&grant);
        assert_int_equal(set(&grant, UINT64_MAX, 2 * SECOND, NOW + 9 * SECOND, NOW + 2), 0);
        assert_int_equal(check(&grant, 63, NOW + SECOND, NULL), WIRE_REASON_TOO_SOON);
        assert_int_equal(check(&grant, 63, NOW + 2 * SECOND, NULL), WIRE_REASON_NONE);
}

static void test_endless_interval_does_not_wrap(void **state _unused_) {
        Grant grant = {};
        uint64_t not_before;

        assert_int_equal(set(&grant, UINT64_MAX, UINT64_MAX, NOW + 9 * SECOND, NOW), 0);
        grant_served(&grant, 0, NOW);
        assert_int_equal(check(&grant, 0, NOW + 8 * SECOND, &not_before), WIRE_REASON_TOO_SOON);
        assert_int_equal(not_before, UINT64_MAX);
}

/* One that a page flip tore, which capd allows twice. */
static void test_taken_again_at_once(void **state _unused_) {
        Grant grant = {};

        assert_int_equal(set(&grant, 1, SECOND, NOW + 9 * SECOND, NOW), 0);
        grant_served(&grant, 0, NOW);
        assert_int_equal(check(&grant, 0, NOW + 1, NULL), WIRE_REASON_TOO_SOON);
        grant_again(&grant, 64);
        assert_int_equal(check(&grant, 0, NOW + 1, NULL), WIRE_REASON_TOO_SOON);
        grant_again(&grant, 0);
        assert_int_equal(check(&grant, 0, NOW + 1, NULL), WIRE_REASON_NONE);
        assert_int_equal(check(&grant, 0, NOW + 9 * SECOND, NULL), WIRE_REASON_NO_GRANT);
        grant_served(&grant, 0, NOW + 1);
        assert_int_equal(check(&grant, 0, NOW + SECOND, NULL), WIRE_REASON_TOO_SOON);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_without_a_grant),
                cmocka_unit_test(test_only_the_outputs_in_the_mask),
                cmocka_unit_test(test_ids_that_are_no_bits_are_never_granted),
                cmocka_unit_test(test_ends_at_its_expiry),
                cmocka_unit_test(test_revoked_at_once),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_reserved_is_zero),
                cmocka_unit_test(test_a_refused_grant_leaves_none),
                cmocka_unit_test(test_a_new_grant_replaces_all_of_the_old),
                cmocka_unit_test(test_interval_of_each_output),
                cmocka_unit_test(test_a_frame_at_time_zero_counts),
                cmocka_unit_test(test_renewing_resets_no_interval),
                cmocka_unit_test(test_endless_interval_does_not_wrap),
                cmocka_unit_test(test_taken_again_at_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
