/* SPDX-License-Identifier: Apache-2.0 */

#include "verify-judge.h"

#include <inttypes.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <string.h>

#include "text.h"
#include "value.h"

typedef struct Item {
        char *name;
        bool moved; /* it is not what its name says, as said */
        const TrustedKey *key;
        SegmentStatement statement;
} Item;

typedef struct End {
        RecordingStatement statement;
} End;

struct Judge {
        TrustedKey *trusted;
        size_t n_trusted;
        Item *items;
        size_t n_items, n_allocated;
        End *ends;
        size_t n_ends, n_ends_allocated;
        size_t n_findings, n_seen;
};

int judge_new(Judge **ret, TrustedKey *trusted, size_t n_trusted) {
        Judge *judge = calloc(1, sizeof(*judge));

        if (!judge)
                return -ENOMEM;
        judge->trusted = trusted;
        judge->n_trusted = n_trusted;
        *ret = judge;
        return 0;
}

Judge *judge_free(Judge *judge) {
        if (!judge)
                return NULL;
        for (size_t i = 0; i < judge->n_items; i++)
                free(judge->items[i].name);
        free(judge->items);
        free(judge->ends);
        free(judge);
        return NULL;
}

/* Names come from whoever filled the folder or the bucket: nothing of them may reach the terminal's ear. */
static void print_clean(const char *text) {
        char clean[PATH_MAX];

        text_sanitize(clean, sizeof(clean), text);
        fputs(clean, stdout);
}

static void finding(Judge *judge, const char *word, const char *name, const char *format, ...)
                _printf_(4, 5);

static void finding(Judge *judge, const char *word, const char *name, const char *format, ...) {
        char text[512];
        va_list arguments;

        judge->n_findings++;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        printf("%-10s ", word);
        print_clean(name);
        fputs(": ", stdout);
        print_clean(text);
        putchar('\n');
}

void judge_unreadable(Judge *judge, const char *name, const char *why) {
        judge->n_seen++;
        finding(judge, "unreadable", name, "%s", why);
}

/* 1: it is a trusted one of this device; 0: not, as said. */
static int judge_key(Judge *judge, const char *name, EVP_PKEY *key, const char *device,
                     const TrustedKey **ret) {
        char thumbprint[THUMBPRINT_SIZE];
        TrustedKey *trusted;
        int r;

        r = jwk_thumbprint(key, thumbprint);
        if (r < 0)
                return r;
        for (trusted = judge->trusted; trusted < judge->trusted + judge->n_trusted; trusted++)
                if (strcmp(trusted->thumbprint, thumbprint) == 0)
                        break;
        if (trusted == judge->trusted + judge->n_trusted) {
                finding(judge, "foreign", name, "it is signed with the key %s, which --key does not name",
                        thumbprint);
                return 0;
        }
        if (!trusted->device[0])
                snprintf(trusted->device, sizeof(trusted->device), "%s", device);
        if (strcmp(trusted->device, device) != 0) {
                finding(judge, "foreign", name,
                        "it says that it is of device %s, but is signed with the key %s of device %s",
                        device, thumbprint, trusted->device);
                return 0;
        }
        if (ret)
                *ret = trusted;
        return 1;
}

static int say_statement(Judge *judge, const char *name, int error) {
        if (error == -EKEYREJECTED)
                finding(judge, "forged", name, "the signature of its statement is wrong");
        else if (error == -EBADMSG || error == -E2BIG)
                finding(judge, "forged", name, "its statement is none");
        else
                return error;
        return 0;
}

static bool is_uuid(const char *text, size_t length) {
        char copy[37];

        return length < sizeof(copy) && snprintf(copy, sizeof(copy), "%.*s", (int) length, text) == 36 &&
               value_is_uuid(copy);
}

/* Whether what the path says of the segment, as far as it says anything, is what was signed. True if it is
 * at least one of this recording's. */
static bool judge_place(Judge *judge, const char *name, const SegmentStatement *s, bool *ret_moved) {
        const char *parts[3];
        size_t lengths[3], n = 0;
        unsigned sequence;
        char sha256[65];
        int end = 0;

        for (const char *p = name + strlen(name); n < 3 && p > name; n++) {
                const char *stop = p;
                while (p > name && p[-1] != '/')
                        p--;
                parts[n] = p;
                lengths[n] = (size_t) (stop - p);
                while (p > name && p[-1] == '/')
                        p--;
        }
        *ret_moved = n > 0 && sscanf(parts[0], "%8u-%64[0-9a-f].sss%n", &sequence, sha256, &end) == 2 &&
                     end > 0 && (size_t) end == lengths[0] &&
                     (sequence != s->sequence || strcmp(sha256, s->sha256) != 0);
        if (*ret_moved)
                finding(judge, "moved", name, "it is segment %" PRIu32 " of recording %s", s->sequence,
                        s->recording);
        const struct {
                const char *what, *id;
        } folders[] = { { "recording", s->recording }, { "device", s->device } };
        for (size_t i = 0; i < ELEMENTSOF(folders) && i + 1 < n; i++)
                if (is_uuid(parts[i + 1], lengths[i + 1]) && strncmp(parts[i + 1], folders[i].id, 36) != 0) {
                        finding(judge, "foreign", name, "it belongs to %s %s", folders[i].what,
                                folders[i].id);
                        return false;
                }
        return true;
}

static int judge_content(Judge *judge, const char *name, const void *data, size_t size,
                         const SegmentStatement *s, bool *ret_ok) {
        uint8_t digest[32];
        char sha256[65];

        if (EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        for (size_t i = 0; i < sizeof(digest); i++)
                snprintf(sha256 + 2 * i, 3, "%02x", digest[i]);
        *ret_ok = size == s->size && strcmp(sha256, s->sha256) == 0;
        if (!*ret_ok)
                finding(judge, "altered", name,
                        "segment %" PRIu32 " of recording %s had other content: %" PRIu64
                        " bytes with the hash %s",
                        s->sequence, s->recording, s->size, s->sha256);
        return 0;
}

static int keep(Judge *judge, const char *name, bool moved, const TrustedKey *key,
                const SegmentStatement *statement) {
        if (judge->n_items == judge->n_allocated) {
                size_t n = judge->n_allocated > 0 ? 2 * judge->n_allocated : 64;
                Item *items = reallocarray(judge->items, n, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                judge->items = items;
                judge->n_allocated = n;
        }
        char *copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        judge->items[judge->n_items++] = (Item){ copy, moved, key, *statement };
        return 0;
}

int judge_segment(Judge *judge, const char *name, const void *data, size_t size, const char *statement) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        const TrustedKey *trusted;
        SegmentStatement s;
        bool ok, moved;
        int r;

        judge->n_seen++;
        if (!statement) {
                finding(judge, "unsigned", name, "it has no statement");
                return 0;
        }
        r = segment_statement_verify(statement, &s, &key);
        if (r < 0)
                return say_statement(judge, name, r);
        r = judge_key(judge, name, key, s.device, &trusted);
        if (r <= 0)
                return r;
        r = judge_content(judge, name, data, size, &s, &ok);
        if (r < 0)
                return r;
        /* What was altered, or lies in another recording's folder, is missing from its own below. */
        return ok && judge_place(judge, name, &s, &moved) ? keep(judge, name, moved, trusted, &s) : 0;
}

int judge_statement(Judge *judge, const char *name, const char *statement) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        SegmentStatement segment;
        RecordingStatement s;
        int r;

        r = segment_statement_verify(statement, &segment, &key);
        if (r >= 0) {
                r = judge_key(judge, name, key, segment.device, NULL);
                if (r > 0)
                        finding(judge, "missing", name, "segment %" PRIu32 " of recording %s is not here",
                                segment.sequence, segment.recording);
                return r < 0 ? r : 0;
        }
        r = recording_statement_verify(statement, &s, &key);
        if (r < 0)
                return say_statement(judge, name, r);
        r = judge_key(judge, name, key, s.device, NULL);
        if (r <= 0)
                return r;
        End *ends = reallocarray(judge->ends, judge->n_ends + 1, sizeof(*ends));
        if (!ends)
                return -ENOMEM;
        judge->ends = ends;
        judge->ends[judge->n_ends++] = (End){ s };
        return 0;
}

static int compare_items(const void *a, const void *b) {
        const SegmentStatement *x = &((const Item *) a)->statement, *y = &((const Item *) b)->statement;
        int r = strcmp(x->recording, y->recording);

        if (r == 0)
                r = strcmp(x->device, y->device);
        if (r == 0)
                r = (x->sequence > y->sequence) - (x->sequence < y->sequence);
        return r != 0 ? r : strcmp(((const Item *) a)->name, ((const Item *) b)->name);
}

static void say_missing(Judge *judge, const SegmentStatement *of, uint32_t first, uint32_t last) {
        if (first == last)
                finding(judge, "missing", of->recording, "segment %" PRIu32, first);
        else
                finding(judge, "missing", of->recording, "segments %" PRIu32 " to %" PRIu32, first, last);
}

static void judge_neighbours(Judge *judge, const Item *before, const Item *item) {
        const SegmentStatement *b = &before->statement, *s = &item->statement;

        if (b->sequence == s->sequence) {
                if (strcmp(b->sha256, s->sha256) == 0)
                        finding(judge, "duplicate", item->name, "the same segment as %s", before->name);
                else
                        finding(judge, "contrary", item->name,
                                "the device signed two segments %" PRIu32 ": %s", s->sequence, before->name);
        } else if (b->sequence + 1 < s->sequence)
                say_missing(judge, s, b->sequence + 1, s->sequence - 1);
        else if (strcmp(s->previous_sha256, b->sha256) != 0)
                finding(judge, "broken", item->name, "it does not continue %s", before->name);
        if (b->final && s->sequence > b->sequence)
                finding(judge, "contrary", item->name, "the recording had ended with segment %" PRIu32,
                        b->sequence);
}

/* The statement about its end says how many there were; without, the last segment says that it is. */
static void judge_end(Judge *judge, const Item *last) {
        const SegmentStatement *s = &last->statement;
        bool ended = s->final;

        for (size_t i = 0; i < judge->n_ends; i++) {
                const RecordingStatement *end = &judge->ends[i].statement;
                if (strcmp(end->recording, s->recording) != 0 || strcmp(end->device, s->device) != 0)
                        continue;
                ended = true;
                if (end->segments > s->sequence + 1)
                        say_missing(judge, s, s->sequence + 1, end->segments - 1);
                else if (end->segments < s->sequence + 1 && strcmp(end->reason, "interrupted") != 0)
                        finding(judge, "contrary", last->name, "the recording had %" PRIu32 " segments",
                                end->segments);
        }
        if (!ended)
                finding(judge, "unfinished", s->recording,
                        "nothing says that segment %" PRIu32
                        " is the last: segments after it are missing, or it is still being recorded, or was "
                        "interrupted (give the statement of its end)",
                        s->sequence);
}

static void judge_recording(Judge *judge, const Item *items, size_t n) {
        const SegmentStatement *first = &items[0].statement, *last = &items[n - 1].statement;
        size_t before = judge->n_findings;
        bool moved = items[0].moved;

        if (first->sequence > 0)
                say_missing(judge, first, 0, first->sequence - 1);
        for (size_t i = 1; i < n; i++) {
                judge_neighbours(judge, &items[i - 1], &items[i]);
                moved = moved || items[i].moved;
        }
        judge_end(judge, &items[n - 1]);
        if (judge->n_findings > before || moved)
                return;
        printf("good       %s: %zu segments of device %s, %s to %s, signed with", first->recording, n,
               first->device, first->started_at, last->ended_at);
        for (size_t i = 0; i < n; i++)
                if (i == 0 || items[i].key != items[i - 1].key)
                        printf(" %s", items[i].key->thumbprint);
        putchar('\n');
}

int judge_finish(Judge *judge) {
        size_t end;

        if (judge->n_items > 0)
                qsort(judge->items, judge->n_items, sizeof(*judge->items), compare_items);
        for (size_t i = 0; i < judge->n_items; i = end) {
                const SegmentStatement *s = &judge->items[i].statement;
                for (end = i + 1; end < judge->n_items; end++)
                        if (strcmp(judge->items[end].statement.recording, s->recording) != 0 ||
                            strcmp(judge->items[end].statement.device, s->device) != 0)
                                break;
                judge_recording(judge, &judge->items[i], end - i);
        }
        for (size_t i = 0; i < judge->n_ends; i++) {
                const RecordingStatement *s = &judge->ends[i].statement;
                bool here = s->segments == 0;
                for (size_t j = 0; j < judge->n_items && !here; j++)
                        here = strcmp(judge->items[j].statement.recording, s->recording) == 0;
                if (!here)
                        finding(judge, "missing", s->recording, "all of its %" PRIu32 " segments",
                                s->segments);
        }
        if (judge->n_seen == 0 && judge->n_ends == 0)
                return -ENODATA;
        return judge->n_findings > 0 ? 1 : 0;
}
