/* SPDX-License-Identifier: Apache-2.0 */
#include "request-input.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "management.h"
#include "request-words.h"

#define VALUE_MAX  256U
#define DELIMITERS " \"\n\f/?&=:,{}[]"

/* What a check may have forgotten, in JSON or in a path. */
static const char *const values[] = {
        "null",
        "true",
        "false",
        "{}",
        "[]",
        "0",
        "-0",
        "1",
        "-1",
        "00",
        "0.5",
        "1e2",
        "1e308",
        "1e400",
        "255",
        "65536",
        "999999",
        "99999999",
        "100000000",
        "2147483647",
        "2147483648",
        "4294967296",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "",
        "a",
        "*",
        "%",
        "%00",
        "%2f",
        "%ff",
        "'",
        "\\\\",
        "\\\"",
        "\\u0000",
        "\\u0085",
        "\\u0130",
        "\\ud800",
        "\\ud83d\\ude00",
        "\\uffff",
        "\xc3\xa9",
        "\xc4\xb0",
        "\xc0\x80",
        "\xed\xa0\x80",
        "\xff",
        "a@b",
        "\xc4\xb0@\xe1\xba\x9e",
        "00000000-0000-0000-0000-000000000000",
        "1970-01-01T00:00:00Z",
        "2030-01-31T10:00:00.000000Z",
        "2999-12-31T23:59:59.999999Z",
        "2999-12-31T23:59:59Z_ffffffff-ffff-ffff-ffff-ffffffffffff",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
        "stopped",
        "interrupted",
        "policy",
        "employee.create",
        "$long.63",
        "$long.64",
        "$long.65",
        "$long.101",
        "$long.201",
        "$long.255",
        "$long.512",
        "$long.1024",
        "$long.9000",
        "$long.65536",
        "[$many.100 0]",
        "[$many.1000 0]",
        "[$many.2500 0]",
        "$deep.100",
        "$deep.2000",
        "$deep.10000",
        "$.id",
        "$.challenge",
        "$.code",
        "$.invitation",
        "$.next",
        "$.revision",
        "$.device_id",
        "$totp..secret",
        "$totp.secret.owner",
        "$signed.device",
        "$signed.device2",
        "$signed.spare",
};

static const char *const headers[] = {
        "Content-Type: application/json; charset=utf-8",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: text/plain",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-For: 2001:db8::1",
        "X-Forwarded-For: ::1%lo",
        "X-Request-Id: 0123456789abcdef0123456789abcdef",
        "Idempotency-Key: known",
        "Idempotency-Key: $long.200",
        "Idempotency-Key: \xff",
        "If-None-Match: *",
        "If-None-Match: W/\"a\", \"b\"",
        "Authorization: Bearer $as.owner",
        "Authorization: Bearer $as.device2",
        "Cookie: __Host-streamsight=$as.owner",
        "Origin: $url",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Site: cross-site",
};

static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS" };

/* Members and values of a query that the table of routes does not have. */
static const char *const names[] = { "after",   "limit",   "from",     "to",        "device", "employee",
                                     "outputs", "code",    "hostname", "statement", "sha256", "frames",
                                     "action",  "subject", "state",    "final",     "",       "$long.255" };

typedef struct Draft {
        char *data;
        size_t size, max;
} Draft;

static size_t below(size_t n) {
        return n > 0 ? (size_t) rand() % n : 0;
}

size_t request_input_next(const char *data, size_t size) {
        const char *end = memchr(data, '\f', size);

        return end ? (size_t) (end - data) : size;
}

/* Replaces the n bytes at a place; nothing if there is no room. */
static void put(Draft *draft, size_t at, size_t n, const char *with, size_t length) {
        if (draft->size - n + length > draft->max)
                return;
        memmove(draft->data + at + length, draft->data + at + n, draft->size - at - n);
        memcpy(draft->data + at, with, length);
        draft->size += length - n;
}

/* One of the requests: where it begins, and its size. */
static size_t pick_request(const Draft *draft, size_t *ret_size) {
        size_t begin = below(draft->size + 1);

        while (begin > 0 && draft->data[begin - 1] != '\f')
                begin--;
        *ret_size = request_input_next(draft->data + begin, draft->size - begin);
        return begin;
}

/* A run of bytes between two delimiters, around a place. */
static size_t pick_token(const Draft *draft, size_t at, size_t *ret_size) {
        size_t end = at;

        while (at > 0 && !strchr(DELIMITERS, draft->data[at - 1]))
                at--;
        while (end < draft->size && !strchr(DELIMITERS, draft->data[end]))
                end++;
        *ret_size = end - at;
        return at;
}

/* One of words with spaces between them. */
static void pick_word(const char *words, char ret[static VALUE_MAX]) {
        for (size_t n = below(4); n > 0 && strchr(words, ' '); n--)
                words = strchr(words, ' ') + 1;
        snprintf(ret, VALUE_MAX, "%.*s", (int) strcspn(words, " "), words);
}

/* One that the table of routes has; of this name (NULL: of any), or NULL. */
static const Field *pick_field(const char *name) {
        for (size_t tries = 0; tries < 2000; tries++) {
                const struct Operation *operation = management_routes[below(n_management_routes)].operation;
                const Field *field = operation ? &operation->fields[below(OPERATION_FIELDS_MAX)] : NULL;
                if (field && field->name && (!name || strcmp(field->name, name) == 0))
                        return field;
        }
        return NULL;
}

/* Its least or greatest value, or one beyond; whether it is a string in JSON. */
static bool pick_bound(const Field *field, char ret[static VALUE_MAX]) {
        uint64_t bounds[] = { field->maximum, field->maximum + 1, field->minimum, field->minimum - 1 };

        switch (field->type) {
        case FIELD_UINT:
                snprintf(ret, VALUE_MAX, "%lli", (long long) bounds[below(4)]);
                return false;
        case FIELD_TEXT:
                snprintf(ret, VALUE_MAX, "$long.%llu", (unsigned long long) bounds[below(2)]);
                return true;
        case FIELD_BOOL:
                strcpy(ret, below(2) ? "true" : "false");
                return false;
        default:
                pick_word(field->words ?: "null", ret);
                return field->words;
        }
}

static void pick_value(char ret[static VALUE_MAX]) {
        size_t n = 0;

        switch (below(8)) {
        case 0:
        case 1:
        case 2: /* most of all, somebody else's id */
                while (words_name(n))
                        n++;
                snprintf(ret, VALUE_MAX, "$%s", words_name(below(n)) ?: "");
                break;
        case 3:
                pick_word(pick_field(NULL)->words ?: "active disabled left employed", ret);
                break;
        default:
                snprintf(ret, VALUE_MAX, "%s", values[below(ELEMENTSOF(values))]);
        }
}

static void change_token(Draft *draft) {
        char value[VALUE_MAX], quoted[VALUE_MAX + 2];
        size_t size, at = pick_token(draft, below(draft->size + 1), &size);

        pick_value(value);
        if (below(4) > 0) {
                put(draft, at, size, value, strlen(value));
                return;
        }
        /* Of JSON a string in place of something else, or the other way round. */
        if (at > 0 && at + size < draft->size && draft->data[at - 1] == '"' && draft->data[at + size] == '"')
                put(draft, at - 1, size + 2, value, strlen(value));
        else {
                int n = snprintf(quoted, sizeof(quoted), "\"%s\"", value);
                put(draft, at, size, quoted, (size_t) n);
        }
}

/* What is the company's own made the other's. */
static void change_company(Draft *draft) {
        char name[VALUE_MAX];
        size_t at = below(draft->size + 1), n;

        while (at < draft->size && draft->data[at] != '$')
                at++;
        if (at++ >= draft->size)
                return;
        n = strspn(draft->data + at, "abcdefghijklmnopqrstuvwxyz0123456789.");
        snprintf(name, sizeof(name), "foreign.%.*s", (int) n, draft->data + at);
        if (words_get(name))
                put(draft, at, n, name, strlen(name));
}

/* One of the input's own in another place. */
static void copy_token(Draft *draft) {
        size_t size, length, from = pick_token(draft, below(draft->size + 1), &length);
        size_t at = pick_token(draft, below(draft->size + 1), &size);
        char *text = strndup(draft->data + from, length);

        if (!text)
                abort();
        put(draft, at, size, text, length);
        free(text);
}

/* What is between two commas, left out or there twice. */
static void change_members(Draft *draft) {
        size_t at = below(draft->size + 1), end;

        while (at > 0 && !strchr(",{[\n\f", draft->data[at - 1]))
                at--;
        for (end = at; end < draft->size && !strchr(",}]\n\f", draft->data[end]);)
                end++;
        if (below(2)) {
                put(draft, at, end - at + (end < draft->size && draft->data[end] == ','), "", 0);
                return;
        }
        char *text = strndup(draft->data + at, end - at);
        if (!text)
                abort();
        put(draft, at, 0, ",", 1);
        put(draft, at, 0, text, strlen(text));
        free(text);
}

/* Of a request with a body the end of its head, else NULL; *ret_line: the end of its first line, or NULL. */
static const char *find_body(const Draft *draft, size_t begin, size_t size, const char **ret_line) {
        const char *text = draft->data + begin;

        *ret_line = memchr(text, '\n', size);
        return *ret_line ? memchr(*ret_line, '{', size - (size_t) (*ret_line - text)) : NULL;
}

/* Gives a member, or a value of the query, another value; adds it if it is not there. */
static void set_member(Draft *draft, const char *name, const char *value, bool quoted) {
        size_t size, begin = pick_request(draft, &size);
        const char *line, *body = find_body(draft, begin, size, &line), *quote = quoted ? "\"" : "";
        char text[2 * VALUE_MAX + 8];

        if (!line)
                return;
        if (!body) {
                bool has = memchr(draft->data + begin, '?', (size_t) (line - (draft->data + begin)));
                snprintf(text, sizeof(text), "%c%s=%s", has ? '&' : '?', name, value);
                put(draft, (size_t) (line - draft->data), 0, text, strlen(text));
                return;
        }
        snprintf(text, sizeof(text), "\"%s\":", name);
        const char *there = memmem(body, size - (size_t) (body - (draft->data + begin)), text, strlen(text));
        if (there) {
                there += strlen(text);
                size_t length = *there == '"' ? 1 + strcspn(there + 1, "\"\f") : strcspn(there, ",}\f");
                length += there[length] == '"';
                snprintf(text, sizeof(text), "%s%s%s", quote, value, quote);
                put(draft, (size_t) (there - draft->data), length, text, strlen(text));
        } else {
                snprintf(text, sizeof(text), "\"%s\":%s%s%s%s", name, quote, value, quote,
                         body[1] == '}' ? "" : ",");
                put(draft, (size_t) (body - draft->data) + 1, 0, text, strlen(text));
        }
}

/* A member that is there, or one more. */
static void change_field(Draft *draft) {
        char name[VALUE_MAX] = "", value[VALUE_MAX];
        size_t size, at = pick_token(draft, below(draft->size + 1), &size);

        snprintf(name, sizeof(name), "%.*s", (int) size, draft->data + at);
        const Field *field = pick_field(name) ?: pick_field(NULL);
        if (!field)
                return;
        bool quoted = pick_bound(field, value);
        if (strcmp(name, field->name) != 0 || size + 3 > draft->size - at) {
                set_member(draft, field->name, value, quoted);
                return;
        }
        /* Behind the name and "\":". */
        at += size + 2;
        size = draft->data[at] == '"' ? 2 + strcspn(draft->data + at + 1, "\"\f")
                                      : strcspn(draft->data + at, ",}\f");
        if (size > draft->size - at)
                return;
        char text[VALUE_MAX + 2];
        snprintf(text, sizeof(text), "%s%s%s", quoted ? "\"" : "", value, quoted ? "\"" : "");
        put(draft, at, size, text, strlen(text));
}

static void add_member(Draft *draft) {
        const char *name = below(2) ? pick_field(NULL)->name : names[below(ELEMENTSOF(names))];
        char value[VALUE_MAX];

        pick_value(value);
        set_member(draft, name, value, below(2));
}

/* A number made one that is near it, or another length. */
static void change_number(Draft *draft) {
        size_t at = below(draft->size + 1), n;
        char number[32];

        while (at < draft->size &&
               !(strchr(":=,[/", draft->data[at]) && strchr("0123456789", draft->data[at + 1])))
                at++;
        if (at++ >= draft->size)
                return;
        n = strspn(draft->data + at, "0123456789");
        unsigned long long old = strtoull(draft->data + at, NULL, 10);
        const unsigned long long made[] = { old + 1, old - 1, old * 2, old / 2, old * 10, old + 100 };
        snprintf(number, sizeof(number), "%lli", (long long) made[below(ELEMENTSOF(made))]);
        put(draft, at, n, number, strlen(number));
}

/* Another caller or method: the first or second word of the first line. */
static void change_caller(Draft *draft) {
        size_t size, begin = pick_request(draft, &size), n = 0;
        const char *to = methods[below(ELEMENTSOF(methods))];

        size_t length = strcspn(draft->data + begin, " \n\f");
        if (below(4) == 0 && draft->data[begin + length] == ' ') {
                begin += length + 1;
                length = strcspn(draft->data + begin, " \n\f");
        } else {
                const char *callers[32] = { "nobody" };
                for (size_t i = 0, m = n = 1; words_name(i); i++, m = n)
                        if (strncmp(words_name(i), "as.", 3) == 0 && m < ELEMENTSOF(callers))
                                callers[n++] = words_name(i) + 3;
                to = callers[below(n)];
        }
        put(draft, begin, length, to, strlen(to));
}

static void add_header(Draft *draft) {
        size_t size, begin = pick_request(draft, &size);
        const char *line = memchr(draft->data + begin, '\n', size),
                   *header = headers[below(ELEMENTSOF(headers))];

        if (!line)
                return;
        put(draft, (size_t) (line - draft->data) + 1, 0, "\n", 1);
        put(draft, (size_t) (line - draft->data) + 1, 0, header, strlen(header));
}

/* A request left out, or sent again. */
static void change_requests(Draft *draft) {
        size_t size, begin = pick_request(draft, &size);

        if (below(2)) {
                put(draft, begin, size + (begin + size < draft->size), "", 0);
                return;
        }
        char *text = strndup(draft->data + begin, size);
        if (!text)
                abort();
        size_t other, to = pick_request(draft, &other);
        put(draft, to, 0, "\f", 1);
        put(draft, to, 0, text, strlen(text));
        free(text);
}

/* What the library's own mutations make of a token or of a whole request. */
static void change_bytes(Draft *draft) {
        size_t size, at = below(2) ? pick_request(draft, &size)
                                   : pick_token(draft, below(draft->size + 1), &size);
        uint8_t bytes[4096];

        if (size > sizeof(bytes))
                return;
        memcpy(bytes, draft->data + at, size);
        put(draft, at, size, (char *) bytes, LLVMFuzzerMutate(bytes, size, sizeof(bytes)));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
        static void (*const changes[])(Draft *) = {
                change_company, change_company, change_field,    change_field, change_field,   change_number,
                change_token,   change_token,   change_token,    copy_token,   change_members, add_member,
                change_caller,  add_header,     change_requests, change_bytes
        };
        /* With a NUL behind it, for strcspn(). */
        Draft draft = { calloc(1, max_size + 1), size, max_size };

        if (!draft.data)
                abort();
        memcpy(draft.data, data, size);
        srand(seed);
        for (size_t n = 1 + below(3); n > 0; n--) {
                changes[below(ELEMENTSOF(changes))](&draft);
                draft.data[draft.size] = '\0';
        }
        memcpy(data, draft.data, draft.size);
        free(draft.data);
        return draft.size;
}

/* The beginning of one and the end of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_out_size, unsigned int seed) {
        Draft draft = { (char *) out, 0, max_out_size };
        const Draft first = { (char *) data1, size1, size1 }, second = { (char *) data2, size2, size2 };
        size_t size, begin;

        srand(seed);
        begin = pick_request(&first, &size);
        put(&draft, 0, 0, first.data, begin + size);
        put(&draft, draft.size, 0, "\f", 1);
        begin = pick_request(&second, &size);
        put(&draft, draft.size, 0, second.data + begin, second.size - begin);
        return draft.size;
}
