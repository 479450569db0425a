/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Texts of others, on their way to a person: a message of the bus that holds one which is not UTF-8, or has
 * a character that systemd takes for none, is not sent at all; and a terminal does as control characters
 * say, and a notification lets them turn its own words around. */

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 (RFC 3629) without the 66 noncharacters, the control characters of ASCII and Latin-1, and Unicode's
 * for lines and directions: U+061C, U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069. */
bool text_is_clean(const char *text);

/* Copies text, cut to size between two characters, with every control character made a
 * space and every byte that belongs to no character a question mark. */
void text_sanitize(char *ret, size_t size, const char *text);

/* The byte that the percent-encoding at the beginning of text stands for, "%41" for instance (RFC
 * 3986, 2.1). -1: there is none. */
int text_percent_byte(const char *text);
