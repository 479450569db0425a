/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdint.h>
#include <string.h>

/* The bytes of the character that a text begins with, 0 if it is none. The NUL at its end continues none. */
static size_t character(const uint8_t *text, uint32_t *ret) {
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t n = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
        uint32_t value = n == 1 ? text[0] : text[0] & (0x7fU >> n);

        if ((text[0] >= 0x80 && text[0] < 0xc0) || text[0] >= 0xf8)
                return 0;
        for (size_t i = 1; i < n; i++) {
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
                value = value << 6 | (text[i] & 0x3f);
        }
        if (value < least[n] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ||
            (value >= 0xfdd0 && value < 0xfdf0) || (value & 0xfffe) == 0xfffe)
                return 0;
        *ret = value;
        return n;
}

/* C0, C1, and what breaks lines or turns the text around it (Unicode's UAX #9 §2): a name in a script from
 * right to left needs none of that. */
static bool is_control(uint32_t value) {
        return value < 0x20 || (value >= 0x7f && value < 0xa0) || value == 0x61c || value == 0x200e ||
               value == 0x200f || (value >= 0x2028 && value <= 0x202e) ||
               (value >= 0x2066 && value <= 0x2069);
}

bool text_is_clean(const char *text) {
        const uint8_t *p = (const uint8_t *) text;
        uint32_t value;

        while (*p) {
                size_t n = character(p, &value);
                if (n == 0 || is_control(value))
                        return false;
                p += n;
        }
        return true;
}

void text_sanitize(char *ret, size_t size, const char *text) {
        const uint8_t *p = (const uint8_t *) text;
        uint32_t value = 0;

        while (*p) {
                size_t n = character(p, &value);
                bool control = n > 0 && is_control(value);
                size_t kept = n == 0 || control ? 1 : n;

                if (kept >= size)
                        break;
                if (n == 0)
                        *ret = '?';
                else if (control)
                        *ret = ' ';
                else
                        memcpy(ret, p, n);
                ret += kept;
                size -= kept;
                p += n > 0 ? n : 1;
        }
        *ret = '\0';
}

static int hex_digit(char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

int text_percent_byte(const char *text) {
        int high = text[0] == '%' ? hex_digit(text[1]) : -1, low = high < 0 ? -1 : hex_digit(text[2]);

        return low < 0 ? -1 : high * 16 + low;
}
