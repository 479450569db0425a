/* SPDX-License-Identifier: Apache-2.0 */

#include "value.h"

#include <openssl/evp.h>
#include <string.h>

#include "text.h"

static bool is_hex(char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* pattern: 'x' a hexadecimal digit, '0' a decimal one, anything else itself. Returns the length, 0: no
 * match. */
static size_t match(const char *text, const char *pattern) {
        for (size_t i = 0; pattern[i]; i++)
                if (pattern[i] == 'x'   ? !is_hex(text[i])
                    : pattern[i] == '0' ? !is_digit(text[i])
                                        : text[i] != pattern[i])
                        return 0;
        return strlen(pattern);
}

bool value_is_uuid(const char *text) {
        size_t n = match(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");

        return n > 0 && text[n] == '\0';
}

bool value_is_sha256(const char *text) {
        size_t n = 0;

        while (is_hex(text[n]) && n <= 64)
                n++;
        return n == 64 && text[n] == '\0';
}

bool value_is_text(const char *text, size_t max_bytes) {
        return text[0] && strnlen(text, max_bytes + 1) <= max_bytes && text_is_clean(text);
}

static unsigned two_digits(const char *text) {
        return (unsigned) (text[0] - '0') * 10 + (unsigned) (text[1] - '0');
}

bool value_is_time(const char *text) {
        static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        const char *p = text;

        p += match(p, "0000-00-00T00:00:00");
        if (p == text)
                return false;
        if (*p == '.') {
                size_t digits = 0;
                for (p++; is_digit(*p); p++)
                        digits++;
                if (digits < 1 || digits > 6)
                        return false;
        }
        if (strcmp(p, "Z") != 0)
                return false;

        unsigned year = two_digits(text) * 100 + two_digits(text + 2), month = two_digits(text + 5);
        unsigned day = two_digits(text + 8);
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if (year < 1970 || year > 2999 || month < 1 || month > 12 || day < 1)
                return false;
        return day <= days[month - 1] + (unsigned) (month == 2 && leap) && two_digits(text + 11) <= 23 &&
               two_digits(text + 14) <= 59 && two_digits(text + 17) <= 59;
}

int value_parse_uint(const char *text, uint64_t maximum, uint64_t *ret) {
        uint64_t number = 0;

        if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
                return -EINVAL;
        for (const char *p = text; *p; p++) {
                if (!is_digit(*p))
                        return -EINVAL;
                if (__builtin_mul_overflow(number, (uint64_t) 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t) (*p - '0'), &number))
                        return -ERANGE;
        }
        if (number > maximum)
                return -ERANGE;
        *ret = number;
        return 0;
}

int value_parse_md5(const char *text, uint8_t ret[static 16]) {
        unsigned char bytes[18], back[25];

        /* EVP_DecodeBlock() is lenient in more than one way: what it gives must encode to the same again. */
        if (strlen(text) != 24 || EVP_DecodeBlock(bytes, (const unsigned char *) text, 24) != sizeof(bytes))
                return -EINVAL;
        EVP_EncodeBlock(back, bytes, 16);
        if (memcmp(back, text, 24) != 0)
                return -EINVAL;
        memcpy(ret, bytes, 16);
        return 0;
}

void value_format_hex(const uint8_t *data, size_t size, char *ret) {
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < size; i++) {
                ret[2 * i] = digits[data[i] >> 4];
                ret[2 * i + 1] = digits[data[i] & 15];
        }
        ret[2 * size] = '\0';
}

static void parse_hex(const char *hex, uint8_t *ret, size_t size) {
        for (size_t i = 0; i < size; i++) {
                char high = hex[2 * i], low = hex[2 * i + 1];
                ret[i] = (uint8_t) ((high <= '9' ? high - '0' : high - 'a' + 10) << 4 |
                                    (low <= '9' ? low - '0' : low - 'a' + 10));
        }
}

void value_parse_sha256(const char *hex, uint8_t ret[static 32]) {
        parse_hex(hex, ret, 32);
}

int value_parse_bytea(const char *text, uint8_t *ret, size_t size) {
        if (strncmp(text, "\\x", 2) != 0 || strlen(text) != 2 + 2 * size)
                return -EINVAL;
        for (const char *p = text + 2; *p; p++)
                if (!is_hex(*p))
                        return -EINVAL;
        parse_hex(text + 2, ret, size);
        return 0;
}
