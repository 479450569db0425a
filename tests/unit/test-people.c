/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "code.h"
#include "password.h"
#include "qr.h"
#include "totp.h"
#include "workers.h"

static void test_base32(void **state _unused_) {
        char text[TOTP_BASE32_SIZE];

        totp_base32((const uint8_t *) "12345678901234567890", text);
        assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        totp_base32((const uint8_t[20]){ 0xff, 0xff, 0xff, 0xff, 0xff, [19] = 1 }, text);
        assert_string_equal(text, "77777777AAAAAAAAAAAAAAAAAAAAAAAB");
}

static void test_pad(void **state _unused_) {
        const uint8_t key[MASTER_KEY_SIZE] = { 1 }, other_key[MASTER_KEY_SIZE] = { 2 };
        const uint8_t nonce[TOTP_NONCE_SIZE] = { 3 }, other_nonce[TOTP_NONCE_SIZE] = { 4 };
        const char *account = "2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e6f",
                   *other = "2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e70";
        uint8_t pads[5][TOTP_SECRET_SIZE];

        assert_int_equal(totp_pad(key, account, nonce, pads[0]), 0);
        assert_int_equal(totp_pad(other_key, account, nonce, pads[1]), 0);
        assert_int_equal(totp_pad(key, other, nonce, pads[2]), 0);
        assert_int_equal(totp_pad(key, account, other_nonce, pads[3]), 0);
        for (size_t i = 1; i < 4; i++)
                assert_memory_not_equal(pads[0], pads[i], TOTP_SECRET_SIZE);
        assert_int_equal(totp_pad(key, account, nonce, pads[4]), 0);
        assert_memory_equal(pads[0], pads[4], TOTP_SECRET_SIZE);
        assert_int_equal(totp_pad(key, "", nonce, pads[4]), -EINVAL);
}

static void test_uri(void **state _unused_) {
        _cleanup_free_ char *uri = NULL;
        char longest[256];

        assert_int_equal(totp_uri("a+\xc3\xa4&b=c@x.org", "ABC", &uri), 0);
        assert_string_equal(
                        uri,
                        "otpauth://totp/StreamSight:a%2B%C3%A4%26b%3Dc@x.org?secret=ABC&issuer=StreamSight"
                        "&algorithm=SHA1&digits=6&period=30");
        memset(longest, '+', 255);
        longest[255] = '\0';
        assert_int_equal(totp_uri(longest, "ABC", &uri), -EINVAL);
}

static void test_codes(void **state _unused_) {
        char code[CODE_SIZE(CODE_GROUPS_MAX)], plain[CODE_PLAIN(CODE_GROUPS_MAX)];
        char again[CODE_SIZE(CODE_GROUPS_MAX)], again_plain[CODE_PLAIN(CODE_GROUPS_MAX)];

        for (unsigned groups = 1; groups <= CODE_GROUPS_MAX; groups++) {
                assert_int_equal(code_make(groups, code, plain), 0);
                assert_int_equal(strlen(code), groups * 5 - 1);
                assert_int_equal(strlen(plain), groups * 4);
                assert_int_equal(strspn(plain, "ABCDEFGHJKMNPQRSTUVWXYZ23456789"), groups * 4);
                code_normalise(code);
                assert_string_equal(code, plain);
        }
        assert_int_equal(code_derive("key", 3, 6, code, plain), 0);
        assert_int_equal(code_derive("key", 3, 6, again, again_plain), 0);
        assert_string_equal(code, again);
        assert_int_equal(code_derive("kez", 3, 6, again, again_plain), 0);
        assert_string_not_equal(code, again);
        char typed[] = " abcd-Efgh_\xc3\xa4 2\t3";
        code_normalise(typed);
        assert_string_equal(typed, "ABCDEFGH23");
}

static void test_password(void **state _unused_) {
        uint8_t salt[64] = { 1 }, one[PASSWORD_DERIVED_SIZE], two[PASSWORD_DERIVED_SIZE];

        assert_int_equal(password_derive("a password", salt, sizeof(salt), PASSWORD_ITERATIONS_MIN - 1, one),
                         -EINVAL);
        assert_int_equal(password_derive("a password", salt, sizeof(salt), UINT64_C(1) << 33, one), -EINVAL);
        assert_int_equal(password_derive("a password", salt, sizeof(salt), PASSWORD_ITERATIONS_MIN, one), 0);
        salt[63] = 1;
        assert_int_equal(password_derive("a password", salt, sizeof(salt), PASSWORD_ITERATIONS_MIN, two), 0);
        assert_memory_not_equal(one, two, sizeof(one));
}

static void test_qr(void **state _unused_) {
        _cleanup_free_ char *svg = NULL, *lines = NULL, *none = NULL;
        char huge[4000];

        assert_int_equal(qr_svg("otpauth://totp/x?secret=ABC", &svg), 0);
        assert_memory_equal(svg, "<svg xmlns=", 11);
        assert_string_equal(svg + strlen(svg) - 6, "</svg>");
        assert_int_equal(qr_terminal("otpauth://totp/x?secret=ABC", &lines), 0);
        assert_true(strlen(lines) > 100);
        memset(huge, 'x', sizeof(huge) - 1);
        huge[sizeof(huge) - 1] = '\0';
        assert_true(qr_svg(huge, &none) < 0);
        assert_null(none);
}

/* --- workers: two threads, of which the test holds both until it has filled the queue
 * ------------------------ */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint done;

static void pass_the_gate(void *item) {
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
        atomic_fetch_add(&done, *(unsigned *) item);
}

static void test_workers(void **state _unused_) {
        unsigned items[64], accepted = 0, sum = 0;
        Workers *workers;

        assert_int_equal(workers_new(&workers, 2, 4, pass_the_gate), 0);
        pthread_mutex_lock(&gate);
        for (unsigned i = 0; i < ELEMENTSOF(items); i++) {
                items[i] = i + 1;
                if (workers_reserve(workers)) {
                        workers_submit(workers, &items[i]);
                        accepted++;
                        sum += items[i];
                }
                assert_true(workers_waiting(workers) <= 4);
        }
        /* Four wait, and as many as there are threads may be at work already. */
        assert_in_range(accepted, 4, 6);
        pthread_mutex_unlock(&gate);
        workers_free(workers); /* does what was accepted */
        assert_int_equal(atomic_load(&done), sum);
}

static void test_a_place_that_is_kept(void **state _unused_) {
        unsigned item = 1000;
        Workers *workers;

        assert_int_equal(workers_new(&workers, 1, 1, pass_the_gate), 0);
        atomic_store(&done, 0);
        assert_true(workers_reserve(workers));
        assert_false(workers_reserve(workers));
        workers_submit(workers, &item);
        workers_free(workers);
        assert_int_equal(atomic_load(&done), 1000);
}

static void *end_workers(void *userdata) {
        workers_end(userdata);
        return NULL;
}

/* Whoever has a place is waited for, and whoever comes later is told. */
static void test_the_end(void **state _unused_) {
        unsigned last = 1000, none = 0;
        Workers *workers;
        pthread_t ending;

        assert_int_equal(workers_new(&workers, 2, 16, pass_the_gate), 0);
        atomic_store(&done, 0);
        assert_true(workers_reserve(workers));
        assert_int_equal(pthread_create(&ending, NULL, end_workers, workers), 0);
        while (workers_reserve(workers)) {
                workers_submit(workers, &none);
                usleep(1000);
        }
        usleep(50000); /* for threads that would not wait */
        workers_submit(workers, &last);
        assert_int_equal(pthread_join(ending, NULL), 0);
        assert_int_equal(atomic_load(&done), 1000);
        assert_int_equal(workers_waiting(workers), 0);
        assert_false(workers_reserve(workers));
        workers_free(workers);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_base32),   cmocka_unit_test(test_pad),
                cmocka_unit_test(test_uri),      cmocka_unit_test(test_codes),
                cmocka_unit_test(test_password), cmocka_unit_test(test_qr),
                cmocka_unit_test(test_workers),  cmocka_unit_test(test_a_place_that_is_kept),
                cmocka_unit_test(test_the_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
