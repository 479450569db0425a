/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "secret.h"

static const uint8_t key[MASTER_KEY_SIZE] = "0123456789abcdef0123456789abcde",
                     other_key[MASTER_KEY_SIZE] = { 1 };
#define BUCKET       "2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e6f"
#define OTHER_BUCKET "2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e70"

static void test_round_trip(void **state _unused_) {
        for (size_t length = 1; length <= SECRET_PLAIN_MAX; length++) {
                char plain[SECRET_PLAIN_MAX + 1] = {}, back[SECRET_PLAIN_MAX + 1];
                uint8_t stored[SECRET_STORED_MAX], again[SECRET_STORED_MAX];
                size_t size;
                memset(plain, 'a' + (int) (length % 26), length);
                assert_int_equal(secret_seal(key, BUCKET, plain, stored, &size), 0);
                assert_int_equal(size, length + SECRET_OVERHEAD);
                assert_int_equal(secret_open(key, BUCKET, stored, size, back), 0);
                assert_string_equal(back, plain);
                assert_int_equal(secret_seal(key, BUCKET, plain, again, &size), 0);
                assert_memory_not_equal(stored, again, size); /* another nonce each time */
        }
}

static void test_every_bit_counts(void **state _unused_) {
        uint8_t stored[SECRET_STORED_MAX];
        char back[SECRET_PLAIN_MAX + 1] = "untouched";
        size_t size;
        assert_int_equal(secret_seal(key, BUCKET, "secret access key", stored, &size), 0);
        for (size_t bit = 0; bit < size * 8; bit++) {
                stored[bit / 8] ^= (uint8_t) (1U << bit % 8);
                assert_int_equal(secret_open(key, BUCKET, stored, size, back),
                                 bit < 8 ? -EBADMSG : -EKEYREJECTED);
                stored[bit / 8] ^= (uint8_t) (1U << bit % 8);
        }
        for (size_t shorter = 0; shorter < size; shorter++)
                assert_true(secret_open(key, BUCKET, stored, shorter, back) < 0);
        assert_int_equal(secret_open(other_key, BUCKET, stored, size, back), -EKEYREJECTED);
        assert_int_equal(secret_open(key, OTHER_BUCKET, stored, size, back), -EKEYREJECTED);
        assert_int_equal(secret_open(key, BUCKET, stored, SECRET_STORED_MAX + 1, back), -EBADMSG);
        assert_string_equal(back, "untouched");
}

static void test_refuses(void **state _unused_) {
        char plain[SECRET_PLAIN_MAX + 2] = {};
        uint8_t stored[SECRET_STORED_MAX];
        size_t size;
        assert_int_equal(secret_seal(key, BUCKET, "", stored, &size), -EINVAL);
        memset(plain, 'x', sizeof(plain) - 1);
        assert_int_equal(secret_seal(key, BUCKET, plain, stored, &size), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_every_bit_counts),
                cmocka_unit_test(test_refuses),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
