/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "value.h"

static void test_time(void **state _unused_) {
        static const char *const good[] = { "2030-01-31T23:59:59Z",        "2030-01-31T23:59:59.0Z",
                                            "2024-02-29T00:00:00.123456Z", "2000-02-29T00:00:00Z",
                                            "1970-01-01T00:00:00Z",        "2999-12-31T23:59:59.999999Z" };
        static const char *const bad[] = { "",
                                           "2030-01-31",
                                           "2030-01-31T23:59:59",
                                           "2030-01-31 23:59:59Z",
                                           "2030-01-31t23:59:59z",
                                           "2030-01-31T23:59:59+00:00",
                                           "2030-01-31T23:59:59.Z",
                                           "2030-01-31T23:59:59.1234567Z",
                                           "2030-01-31T23:59:60Z",
                                           "2030-01-31T24:00:00Z",
                                           "2030-02-30T00:00:00Z",
                                           "2100-02-29T00:00:00Z",
                                           "2030-13-01T00:00:00Z",
                                           "2030-00-01T00:00:00Z",
                                           "2030-01-00T00:00:00Z",
                                           "1969-12-31T23:59:59Z",
                                           "3000-01-01T00:00:00Z",
                                           "2030-01-31T23:59:59Zx",
                                           "infinity",
                                           "2030-1-31T23:59:59Z" };
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(value_is_time(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(value_is_time(bad[i]));
}

static void test_uuid(void **state _unused_) {
        assert_true(value_is_uuid("2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e6f"));
        assert_false(value_is_uuid("2B1F9E34-7A55-4D3C-9F0E-1A2B3C4D5E6F"));
        assert_false(value_is_uuid("2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e6"));
        assert_false(value_is_uuid("2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e6f0"));
        assert_false(value_is_uuid("{2b1f9e34-7a55-4d3c-9f0e-1a2b3c4d5e6f}"));
        assert_false(value_is_uuid("2b1f9e347a554d3c9f0e1a2b3c4d5e6f"));
        assert_false(value_is_uuid(""));
}

static void test_sha256(void **state _unused_) {
        static const char hex[] = "00ff0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab";
        uint8_t bytes[32];
        char back[65], longer[70];
        assert_true(value_is_sha256(hex));
        value_parse_sha256(hex, bytes);
        value_format_hex(bytes, sizeof(bytes), back);
        assert_string_equal(back, hex);
        snprintf(longer, sizeof(longer), "%s0", hex);
        assert_false(value_is_sha256(longer));
        assert_false(value_is_sha256(hex + 1));
        longer[63] = 'G';
        longer[64] = '\0';
        assert_false(value_is_sha256(longer));
}

static void test_md5(void **state _unused_) {
        static const char *const bad[] = {
                "",
                "AAAAAAAAAAAAAAAAAAAAAA",    /* no padding */
                "AAAAAAAAAAAAAAAAAAAAAB==",  /* bits left over */
                "AAAAAAAAAAAAAAAAAAAAAAA=",  /* 17 bytes */
                "AAAAAAAAAAAAAAAAAAAAAAAA",  /* 18 bytes */
                "AAAAAAAAAAAAAAAAAAAAA A==", /* a space */
                " AAAAAAAAAAAAAAAAAAAAAA=",
                "AAAAAAAAAAAAAAAAAAAAAA==\n",
                "-AAAAAAAAAAAAAAAAAAAAA==", /* of the other alphabet */
        };
        uint8_t md5[16];
        assert_int_equal(value_parse_md5("1B2M2Y8AsgTpgAmY7PhCfg==", md5), 0); /* of nothing */
        assert_int_equal(md5[0], 0xd4);
        assert_int_equal(md5[15], 0x7e);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(value_parse_md5(bad[i], md5), -EINVAL);
}

static void test_uint(void **state _unused_) {
        uint64_t n = 7;
        assert_int_equal(value_parse_uint("0", 10, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(value_parse_uint("18446744073709551615", UINT64_MAX, &n), 0);
        assert_true(n == UINT64_MAX);
        assert_int_equal(value_parse_uint("18446744073709551616", UINT64_MAX, &n), -ERANGE);
        assert_int_equal(value_parse_uint("11", 10, &n), -ERANGE);
        assert_int_equal(value_parse_uint("01", 10, &n), -EINVAL);
        assert_int_equal(value_parse_uint("-1", 10, &n), -EINVAL);
        assert_int_equal(value_parse_uint("+1", 10, &n), -EINVAL);
        assert_int_equal(value_parse_uint("", 10, &n), -EINVAL);
        assert_int_equal(value_parse_uint("1 ", 10, &n), -EINVAL);
}

static void test_text(void **state _unused_) {
        assert_true(value_is_text("pc-17.example.org", 255));
        assert_true(value_is_text("abc", 3));
        assert_false(value_is_text("abcd", 3));
        assert_false(value_is_text("", 3));
        assert_false(value_is_text("a\nb", 3));
        assert_false(value_is_text("a\x7f", 3));
        /* no device would take a policy with these */
        assert_false(value_is_text("a\xc2\x85", 3));
        assert_false(value_is_text("\xef\xbf\xbe", 3));
        assert_false(value_is_text("\xc3", 3));
        assert_true(value_is_text("\xc3\xab", 3));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_time), cmocka_unit_test(test_uuid), cmocka_unit_test(test_sha256),
                cmocka_unit_test(test_md5),  cmocka_unit_test(test_uint), cmocka_unit_test(test_text),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
