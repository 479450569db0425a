/* SPDX-License-Identifier: Apache-2.0 */
#include "request-words.h"

#include <endian.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"

#define WORDS_MAX     256U
#define NAME_MAX_SIZE 64U
#define LONG_MAX_SIZE 70000UL /* a little more than a body may have */

typedef struct Word {
        char *name, *value;
} Word;

static Word words[WORDS_MAX];
static size_t n_loaded, n_words; /* those of answers come after those of the file */

void words_load(const char *folder) {
        _cleanup_free_ char *path = NULL, *line = NULL;
        size_t size = 0;

        if (asprintf(&path, "%s/words", folder) < 0)
                abort();
        FILE *file = fopen(path, "re");
        if (!file) {
                perror(path);
                abort();
        }
        while (getline(&line, &size, file) > 0 && n_words < WORDS_MAX) {
                char *value = strchr(line, ' ');
                if (!value)
                        abort();
                *value++ = '\0';
                words[n_words++] = (Word){ strdup(line), strndup(value, strcspn(value, "\n")) };
        }
        fclose(file);
        n_loaded = n_words;
}

const char *words_get(const char *name) {
        for (size_t i = n_words; i > 0; i--) /* the last answer's */
                if (strcmp(words[i - 1].name, name) == 0)
                        return words[i - 1].value;
        return NULL;
}

const char *words_name(size_t i) {
        return i < n_loaded ? words[i].name : NULL;
}

void words_learn(const json_t *answer) {
        const char *name;
        json_t *value;
        size_t i;

        json_array_foreach (json_is_array(answer) ? answer : NULL, i, value)
                words_learn(value);
        json_object_foreach (json_is_object(answer) ? (json_t *) answer : NULL, name, value) {
                char *text = NULL, *dotted = NULL;
                if (json_is_string(value))
                        text = strdup(json_string_value(value));
                else if (json_is_integer(value) &&
                         asprintf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0)
                        abort();
                else
                        words_learn(value);
                if (!text || n_words == WORDS_MAX) {
                        free(text);
                        continue;
                }
                if (asprintf(&dotted, ".%s", name) < 0)
                        abort();
                words[n_words++] = (Word){ dotted, text };
        }
}

void words_forget(void) {
        while (n_words > n_loaded) {
                n_words--;
                free(words[n_words].name);
                free(words[n_words].value);
        }
}

/* RFC 4648 §6 without padding. */
static size_t base32_decode(const char *text, uint8_t *ret, size_t size) {
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        uint64_t bits = 0;
        unsigned n_bits = 0;
        size_t n = 0;

        for (; *text && strchr(alphabet, *text) && n < size; text++) {
                bits = bits << 5 | (uint64_t) (strchr(alphabet, *text) - alphabet);
                n_bits += 5;
                if (n_bits >= 8)
                        ret[n++] = (uint8_t) (bits >> (n_bits -= 8));
        }
        return n;
}

/* RFC 6238, of six digits. */
static char *totp(const char *secret) {
        uint64_t step = htobe64((uint64_t) time(NULL) / 30);
        uint8_t key[64], mac[20];
        char *code = NULL;
        uint32_t number;

        size_t n = base32_decode(secret, key, sizeof(key));
        if (!HMAC(EVP_sha1(), key, (int) n, (const uint8_t *) &step, sizeof(step), mac, NULL))
                abort();
        memcpy(&number, mac + (mac[19] & 15), sizeof(number));
        if (asprintf(&code, "%06u", (be32toh(number) & 0x7fffffff) % 1000000) < 0)
                abort();
        return code;
}

/* begin, as often as a number says, and end after as many; at most as long as is worth it. */
static char *repeated(const char *begin, const char *end, const char *number) {
        size_t length = strlen(begin) + strlen(end),
               n = strtoul(number, NULL, 10) % (LONG_MAX_SIZE / length);
        char *text = malloc(length * n + 1), *p = text;

        if (!text)
                abort();
        for (size_t i = 0; i < n; i++)
                p = stpcpy(p, begin);
        for (size_t i = 0; i < n; i++)
                p = stpcpy(p, end);
        *p = '\0';
        return text;
}

/* NULL: no word. */
static char *meaning(const char *name) {
        const char *value = words_get(name);

        if (value)
                return strdup(value);
        if (strncmp(name, "totp.", 5) == 0 && (value = words_get(name + 5)))
                return totp(value);
        if (strncmp(name, "long.", 5) == 0)
                return repeated("a", "", name + 5);
        if (strncmp(name, "deep.", 5) == 0)
                return repeated("[", "]", name + 5);
        if (strncmp(name, "many.", 5) == 0)
                return repeated("1e308,", "", name + 5);
        return NULL;
}

char *words_expand(const char *text, size_t size, char *(*further)(void *userdata, const char *name),
                   void *userdata, size_t *ret_size) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789._";
        const char *end = text + size;
        char *expanded = NULL;
        FILE *out = open_memstream(&expanded, ret_size);

        if (!out)
                abort();
        while (text < end) {
                char name[NAME_MAX_SIZE];
                size_t n = 0;
                if (*text == '$')
                        while (text + 1 + n < end && n < sizeof(name) - 1 && text[1 + n] &&
                               strchr(letters, text[1 + n]))
                                n++;
                memcpy(name, text + 1, n);
                name[n] = '\0';
                _cleanup_free_ char *value = n > 0 ? meaning(name) : NULL;
                if (!value && n > 0 && further)
                        value = further(userdata, name);
                if (value)
                        fputs(value, out);
                else
                        fwrite(text, 1, 1 + n, out);
                text += 1 + n;
        }
        if (fclose(out) != 0)
                abort();
        return expanded;
}
