/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "secret.h"

static const MasterKeys keys = { .keys = { "0123456789abcdef0123456789abcde" }, .n = 1 },
                        other_keys = { .keys = { { 1 } }, .n = 1 },
                        both = { .keys = { { 1 }, "0123456789abcdef0123456789abcde" }, .n = 2 };
#define BUCKET       "2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e6f"
#define OTHER_BUCKET "2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e70"

static void test_round_trip(void **state _unused_) {
        for (size_t length = 1; length <= SECRET_PLAIN_MAX; length++) {
                char plain[SECRET_PLAIN_MAX + 1] = {}, back[SECRET_PLAIN_MAX + 1];
                uint8_t stored[SECRET_STORED_MAX], again[SECRET_STORED_MAX];
                size_t size;
                memset(plain, 'a' + (int) (length % 26), length);
                assert_int_equal(secret_seal(&keys, BUCKET, plain, stored, &size), 0);
                assert_int_equal(size, length + SECRET_OVERHEAD);
                assert_int_equal(secret_open(&keys, BUCKET, stored, size, back), 0);
                assert_string_equal(back, plain);
                assert_int_equal(secret_seal(&keys, BUCKET, plain, again, &size), 0);
                assert_memory_not_equal(stored, again, size); /* another nonce each time */
        }
}

static void test_every_bit_counts(void **state _unused_) {
        uint8_t stored[SECRET_STORED_MAX];
        char back[SECRET_PLAIN_MAX + 1] = "untouched";
        size_t size;
        assert_int_equal(secret_seal(&keys, BUCKET, "secret access key", stored, &size), 0);
        for (size_t bit = 0; bit < size * 8; bit++) {
                stored[bit / 8] ^= (uint8_t) (1U << bit % 8);
                assert_int_equal(secret_open(&keys, BUCKET, stored, size, back),
                                 bit < 8 ? -EBADMSG : -EKEYREJECTED);
                stored[bit / 8] ^= (uint8_t) (1U << bit % 8);
        }
        for (size_t shorter = 0; shorter < size; shorter++)
                assert_true(secret_open(&keys, BUCKET, stored, shorter, back) < 0);
        assert_int_equal(secret_open(&other_keys, BUCKET, stored, size, back), -EKEYREJECTED);
        assert_int_equal(secret_open(&keys, OTHER_BUCKET, stored, size, back), -EKEYREJECTED);
        assert_int_equal(secret_open(&keys, BUCKET, stored, SECRET_STORED_MAX + 1, back), -EBADMSG);
        assert_string_equal(back, "untouched");
}

static void test_refuses(void **state _unused_) {
        char plain[SECRET_PLAIN_MAX + 2] = {};
        uint8_t stored[SECRET_STORED_MAX];
        size_t size;
        assert_int_equal(secret_seal(&keys, BUCKET, "", stored, &size), -EINVAL);
        memset(plain, 'x', sizeof(plain) - 1);
        assert_int_equal(secret_seal(&keys, BUCKET, plain, stored, &size), -EINVAL);
}

/* Made with Python's cryptography: what lies in databases from before keys had names. */
static void test_nameless(void **state _unused_) {
        static const uint8_t stored[] = {
                0x01, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07,
                0x07, 0x47, 0x12, 0x57, 0x57, 0x53, 0x51, 0x6c, 0x9b, 0xea, 0x91, 0x72,
                0x38, 0xa3, 0x2a, 0x53, 0xd0, 0xff, 0x8e, 0x4b, 0x8d, 0xcf, 0x6e, 0xee,
                0x9c, 0xb6, 0x53, 0x9a, 0x75, 0xc5, 0x8d, 0x8d, 0xc8, 0x2b,
        };
        char back[SECRET_PLAIN_MAX + 1];
        assert_int_equal(secret_open(&keys, BUCKET, stored, sizeof(stored), back), 0);
        assert_string_equal(back, "secret access key");
        assert_int_equal(secret_open(&both, BUCKET, stored, sizeof(stored), back), 0); /* the oldest */
        assert_int_equal(secret_open(&other_keys, BUCKET, stored, sizeof(stored), back), -EKEYREJECTED);
        assert_false(secret_is_current(&keys, stored, sizeof(stored)));
}

static void test_two_keys(void **state _unused_) {
        uint8_t stored[SECRET_STORED_MAX], id[MASTER_KEY_ID_SIZE];
        char back[SECRET_PLAIN_MAX + 1];
        size_t size;
        assert_int_equal(secret_seal(&keys, BUCKET, "old", stored, &size), 0);
        assert_true(secret_is_current(&keys, stored, size));
        assert_false(secret_is_current(&both, stored, size));
        assert_int_equal(secret_open(&both, BUCKET, stored, size, back), 0);
        assert_string_equal(back, "old");
        assert_int_equal(secret_seal(&both, BUCKET, "new", stored, &size), 0);
        assert_true(secret_is_current(&both, stored, size));
        assert_int_equal(secret_open(&keys, BUCKET, stored, size, back), -EKEYREJECTED);
        assert_int_equal(secret_open(&other_keys, BUCKET, stored, size, back), 0);
        assert_string_equal(back, "new");
        assert_int_equal(master_key_id(both.keys[1], id), 0);
        assert_ptr_equal(master_keys_find(&both, id), both.keys[1]);
        assert_ptr_equal(master_keys_find(&both, NULL), both.keys[1]);
        assert_null(master_keys_find(&other_keys, id));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip), cmocka_unit_test(test_every_bit_counts),
                cmocka_unit_test(test_refuses),    cmocka_unit_test(test_nameless),
                cmocka_unit_test(test_two_keys),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
