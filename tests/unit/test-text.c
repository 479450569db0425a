/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>
#include <systemd/sd-bus.h>

#include "cleanup.h"
#include "text.h"

static const char *const good[] = { "",
                                    "Example Corp",
                                    "Zoë Ωmega 例え 🎥",
                                    "\xc2\xa0",
                                    "\xdf\xbf",
                                    "\xe0\xa0\x80",
                                    "\xed\x9f\xbf",
                                    "\xee\x80\x80",
                                    "\xef\xbf\xbd",
                                    "\xf0\x90\x80\x80",
                                    "\xf4\x8f\xbf\xbd" };
static const char *const bad[] = { "\x80",
                                   "\xbf",
                                   "\xc3",
                                   "\xc3(",
                                   "\xc0\xaf",
                                   "\xc1\xbf",
                                   "\xe0\x9f\xbf",
                                   "\xe2\x82",
                                   "\xed\xa0\x80",
                                   "\xed\xbf\xbf",
                                   "\xf0\x8f\xbf\xbf",
                                   "\xf0\x90\x80",
                                   "\xf4\x90\x80\x80",
                                   "\xf8\x88\x80\x80\x80",
                                   "\xff",
                                   "\xef\xb7\x90",
                                   "\xef\xb7\xaf",
                                   "\xef\xbf\xbe",
                                   "\xf4\x8f\xbf\xbf" };

/* A message as those to the bus are; it goes nowhere. */
static sd_bus_message *message_new(void) {
        sd_bus_message *message;
        sd_bus *bus;

        assert_return_code(sd_bus_new(&bus), 0);
        assert_return_code(sd_bus_set_address(bus, "unix:path=/nonexistent"), 0);
        (void) sd_bus_start(bus);
        assert_return_code(sd_bus_message_new(bus, &message, SD_BUS_MESSAGE_SIGNAL), 0);
        sd_bus_unref(bus);
        return message;
}

static void test_what_the_bus_takes(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                sd_bus_message *message = message_new();
                assert_true(text_is_clean(good[i]));
                assert_return_code(sd_bus_message_append_basic(message, 's', good[i]), 0);
                sd_bus_message_unref(message);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                sd_bus_message *message = message_new();
                assert_false(text_is_clean(bad[i]));
                assert_true(sd_bus_message_append_basic(message, 's', bad[i]) < 0);
                sd_bus_message_unref(message);
        }
}

static void check(const char *text, size_t size, const char *expected) {
        char clean[64];

        memset(clean, 'x', sizeof(clean));
        text_sanitize(clean, size, text);
        assert_string_equal(clean, expected);
        assert_true(text_is_clean(clean));
}

static void test_sanitized(void **state _unused_) {
        assert_true(text_is_clean("Zoë"));
        assert_false(text_is_clean("a\n"));
        assert_false(text_is_clean("\xc2\x85"));
        assert_false(text_is_clean("\xff"));
        check("Zoë", 64, "Zoë");
        check("a\nb\tc\x7f\x1b[1m", 64, "a b c  [1m");
        check("a\xc2\x85\xc2\x9f\xc2\xa0", 64, "a  \xc2\xa0");
        check("a\xff\xc3(\xe2\x82", 64, "a?\?(?\?");
        check("\xef\xbf\xbe", 64, "?\?\?");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char clean[64];
                text_sanitize(clean, sizeof(clean), bad[i]);
                assert_true(text_is_clean(clean));
        }
}

/* "is recorded for X" must not become something else by what X is. */
static void test_directions(void **state _unused_) {
        static const char *const turning[] = { "\u061c", "\u200e", "\u200f", "\u2028", "\u2029",
                                               "\u202a", "\u202e", "\u2066", "\u2069" };
        /* Hebrew; Persian with a zero width non-joiner; an emoji with a joiner. */
        static const char *const names[] = { "חברה בע\"מ", "شرکت نمونه\u200cها", "👩\u200d💻", "\u2027\u202f",
                                             "\u2065\u206a" };

        for (size_t i = 0; i < ELEMENTSOF(turning); i++) {
                assert_false(text_is_clean(turning[i]));
                check(turning[i], 64, " ");
        }
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                assert_true(text_is_clean(names[i]));
                check(names[i], 64, names[i]);
        }
}

static void test_cut_between_characters(void **state _unused_) {
        check("abc", 3, "ab");
        check("Zoë", 5, "Zoë");
        check("Zoë", 4, "Zo");
        check("🎥", 4, "");
        check("🎥", 5, "🎥");
        check("abc", 1, "");
}

static void test_percent_encoding(void **state _unused_) {
        static const char *const none[] = { "", "4", "%", "%4", "%g1", "%1g", "% 1", "41%" };

        assert_int_equal(text_percent_byte("%41%42"), 'A');
        assert_int_equal(text_percent_byte("%fF"), 0xff);
        assert_int_equal(text_percent_byte("%00"), 0);
        for (size_t i = 0; i < ELEMENTSOF(none); i++)
                assert_int_equal(text_percent_byte(none[i]), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_the_bus_takes), cmocka_unit_test(test_sanitized),
                cmocka_unit_test(test_directions),         cmocka_unit_test(test_cut_between_characters),
                cmocka_unit_test(test_percent_encoding),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
