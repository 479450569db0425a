/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "crc32c.h"

/* RFC 3720, appendix B.4, and the check value of the catalogue of CRC algorithms. */
static void test_known_values(void **state) {
        uint8_t zeros[32] = {}, ones[32], up[32], down[32];
        (void) state;

        memset(ones, 0xff, sizeof(ones));
        for (int i = 0; i < 32; i++) {
                up[i] = (uint8_t) i;
                down[i] = (uint8_t) (31 - i);
        }
        assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
        assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
        assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
        assert_int_equal(crc32c(0, up, 32), 0x46dd794e);
        assert_int_equal(crc32c(0, down, 32), 0x113fdb5c);
        assert_int_equal(crc32c(0, NULL, 0), 0);
}

static void test_both_ways_agree(void **state) {
        uint8_t bytes[600];
        (void) state;

        if (!crc32c_has_sse42())
                skip();
        srand(1);
        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t) rand();
        for (size_t from = 0; from < 9; from++)
                for (size_t size = 0; size + from <= sizeof(bytes); size++)
                        assert_int_equal(crc32c_sse42(0x1234, bytes + from, size),
                                         crc32c_table(0x1234, bytes + from, size));
}

static void test_continues(void **state) {
        (void) state;
        assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
        assert_int_equal(crc32c_table(crc32c_table(0, "1234567", 7), "89", 2), 0xe3069283);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_known_values),
                cmocka_unit_test(test_both_ways_agree),
                cmocka_unit_test(test_continues),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
