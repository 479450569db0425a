/* SPDX-License-Identifier: Apache-2.0 */

#include "sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ALGORITHM   "AWS4-HMAC-SHA256"
#define SERVICE     "s3"
#define DIGEST_SIZE 32U
#define SECRET_MAX  256U

static bool is_unreserved(unsigned char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.' || c == '_' || c == '~';
}

/* RFC 3986 percent-encoding, upper-case; S3's paths are encoded once and not normalised. */
static void put_encoded(FILE *out, const char *text, bool keep_slashes) {
        static const char digits[] = "0123456789ABCDEF";

        for (const unsigned char *p = (const unsigned char *) text; *p; p++)
                if (is_unreserved(*p) || (keep_slashes && *p == '/'))
                        putc_unlocked(*p, out);
                else {
                        putc_unlocked('%', out);
                        putc_unlocked(digits[*p >> 4], out);
                        putc_unlocked(digits[*p & 15], out);
                }
}

/* A header's value as it is signed: without spaces at its ends, runs of spaces as one. */
static void put_trimmed(FILE *out, const char *value) {
        for (const char *p = value + strspn(value, " "); *p;) {
                size_t length = strcspn(p, " ");
                fwrite(p, 1, length, out);
                p += length;
                size_t spaces = strspn(p, " ");
                if (p[spaces])
                        fputs(spaces > 0 ? " " : "", out);
                p += spaces;
        }
}

static bool header_is_signable(const SigV4Header *header) {
        if (header->name[0] == '\0' || strcmp(header->name, "host") == 0)
                return false;
        for (const char *p = header->name; *p; p++)
                if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-'))
                        return false;
        for (const char *p = header->value; *p; p++)
                if (*p < ' ' || *p > '~')
                        return false;
        return true;
}

static int compare_headers(const void *a, const void *b) {
        return strcmp(((const SigV4Header *) a)->name, ((const SigV4Header *) b)->name);
}

/* Signed headers with host, in the order of their names. */
static int sort_headers(const SigV4Request *request, SigV4Header ret[static SIGV4_HEADERS_MAX + 1]) {
        if (request->n_headers > SIGV4_HEADERS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < request->n_headers; i++) {
                if (!header_is_signable(&request->headers[i]))
                        return -EINVAL;
                ret[i] = request->headers[i];
        }
        ret[request->n_headers] = (SigV4Header){ "host", request->host };
        qsort(ret, request->n_headers + 1, sizeof(SigV4Header), compare_headers);
        for (size_t i = 0; i < request->n_headers; i++)
                if (strcmp(ret[i].name, ret[i + 1].name) == 0)
                        return -EINVAL;
        return 0;
}

static void put_hex(FILE *out, const uint8_t digest[static DIGEST_SIZE]) {
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                putc_unlocked(digits[digest[i] >> 4], out);
                putc_unlocked(digits[digest[i] & 15], out);
        }
}

static int hmac(const void *key, size_t key_size, const char *text, uint8_t ret[static DIGEST_SIZE]) {
        unsigned size = DIGEST_SIZE;

        return HMAC(EVP_sha256(), key, (int) key_size, (const uint8_t *) text, strlen(text), ret, &size)
                               ? 0
                               : -EIO;
}

static int derive_key(const SigV4Request *request, const char *date, uint8_t ret[static DIGEST_SIZE]) {
        const char *const parts[] = { date, request->region, SERVICE, "aws4_request" };
        char start[SECRET_MAX + sizeof("AWS4")];
        int r = 0;

        if (strlen(request->secret_key) > SECRET_MAX)
                return -EINVAL;
        snprintf(start, sizeof(start), "AWS4%s", request->secret_key);
        for (size_t i = 0; i < ELEMENTSOF(parts) && r >= 0; i++)
                r = i == 0 ? hmac(start, strlen(start), parts[i], ret)
                           : hmac(ret, DIGEST_SIZE, parts[i], ret);
        OPENSSL_cleanse(start, sizeof(start));
        return r;
}

static int finish(FILE **stream) {
        bool failed = ferror(*stream);

        if (fclose(TAKE_PTR(*stream)) != 0 || failed)
                return -ENOMEM;
        return 0;
}

/* The query's parameters but the signature; they are in the order of their names. */
static int make_query(const SigV4Request *request, const char *stamp, const char *scope,
                      const char *signed_headers, char **ret) {
        _cleanup_free_ char *query = NULL;
        _cleanup_fclose_ FILE *out = NULL;
        size_t size;
        int r;

        if (!(out = open_memstream(&query, &size)))
                return -ENOMEM;
        fputs("X-Amz-Algorithm=" ALGORITHM "&X-Amz-Credential=", out);
        put_encoded(out, request->access_key_id, false);
        put_encoded(out, "/", false);
        put_encoded(out, scope, false);
        fprintf(out, "&X-Amz-Date=%s&X-Amz-Expires=%u", stamp, request->expires);
        if (request->session_token) {
                fputs("&X-Amz-Security-Token=", out);
                put_encoded(out, request->session_token, false);
        }
        fputs("&X-Amz-SignedHeaders=", out);
        put_encoded(out, signed_headers, false);
        if (request->query)
                fprintf(out, "&%s", request->query);
        r = finish(&out);
        if (r >= 0)
                *ret = TAKE_PTR(query);
        return r;
}

static int make_signed_headers(const SigV4Header *headers, size_t n, char **ret) {
        _cleanup_free_ char *names = NULL;
        _cleanup_fclose_ FILE *out = NULL;
        size_t size;
        int r;

        if (!(out = open_memstream(&names, &size)))
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                fprintf(out, "%s%s", i > 0 ? ";" : "", headers[i].name);
        r = finish(&out);
        if (r >= 0)
                *ret = TAKE_PTR(names);
        return r;
}

static int digest_canonical_request(const SigV4Request *request, const SigV4Header *headers, size_t n,
                                    const char *query, const char *signed_headers,
                                    uint8_t ret[static DIGEST_SIZE]) {
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *out = NULL;
        const char *payload = "UNSIGNED-PAYLOAD";
        size_t size;
        int r;

        if (!(out = open_memstream(&text, &size)))
                return -ENOMEM;
        fprintf(out, "%s\n", request->method);
        put_encoded(out, request->path, true);
        fprintf(out, "\n%s\n", query);
        for (size_t i = 0; i < n; i++) {
                fprintf(out, "%s:", headers[i].name);
                put_trimmed(out, headers[i].value);
                fputc('\n', out);
                if (strcmp(headers[i].name, "x-amz-content-sha256") == 0)
                        payload = headers[i].value;
        }
        fprintf(out, "\n%s\n%s", signed_headers, payload);
        r = finish(&out);
        if (r < 0)
                return r;
        return EVP_Digest(text, strlen(text), ret, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

static int sign(const SigV4Request *request, const char *stamp, const char *scope, const uint8_t *canonical,
                uint8_t ret[static DIGEST_SIZE]) {
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *out = NULL;
        uint8_t key[DIGEST_SIZE];
        char date[9] = {};
        size_t size;
        int r;

        if (!(out = open_memstream(&text, &size)))
                return -ENOMEM;
        fprintf(out, ALGORITHM "\n%s\n%s\n", stamp, scope);
        put_hex(out, canonical);
        r = finish(&out);
        if (r < 0)
                return r;
        memcpy(date, stamp, 8);
        r = derive_key(request, date, key);
        if (r >= 0)
                r = hmac(key, sizeof(key), text, ret);
        OPENSSL_cleanse(key, sizeof(key));
        return r;
}

char *sigv4_encode(const char *text) {
        _cleanup_free_ char *encoded = NULL;
        _cleanup_fclose_ FILE *out = NULL;
        size_t size;

        if (!(out = open_memstream(&encoded, &size)))
                return NULL;
        put_encoded(out, text, false);
        return finish(&out) < 0 ? NULL : TAKE_PTR(encoded);
}

int sigv4_presign(const SigV4Request *request, char **ret) {
        SigV4Header headers[SIGV4_HEADERS_MAX + 1];
        _cleanup_free_ char *signed_headers = NULL, *scope = NULL, *query = NULL, *url = NULL;
        _cleanup_fclose_ FILE *out = NULL;
        uint8_t canonical[DIGEST_SIZE], signature[DIGEST_SIZE];
        size_t n = request->n_headers + 1, size;
        char stamp[32];
        struct tm tm;
        int r;

        if (request->path[0] != '/' ||
            (request->query && !(request->query[0] >= 'a' && request->query[0] <= 'z')) ||
            request->expires == 0 || request->expires > 604800)
                return -EINVAL;
        if (!gmtime_r(&request->time, &tm) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm) != 16)
                return -EINVAL;
        if (asprintf(&scope, "%.8s/%s/" SERVICE "/aws4_request", stamp, request->region) < 0) {
                scope = NULL;
                return -ENOMEM;
        }

        if ((r = sort_headers(request, headers)) < 0 ||
            (r = make_signed_headers(headers, n, &signed_headers)) < 0 ||
            (r = make_query(request, stamp, scope, signed_headers, &query)) < 0 ||
            (r = digest_canonical_request(request, headers, n, query, signed_headers, canonical)) < 0 ||
            (r = sign(request, stamp, scope, canonical, signature)) < 0)
                return r;

        if (!(out = open_memstream(&url, &size)))
                return -ENOMEM;
        fprintf(out, "https://%s", request->host);
        put_encoded(out, request->path, true);
        fprintf(out, "?%s&X-Amz-Signature=", query);
        put_hex(out, signature);
        r = finish(&out);
        if (r >= 0)
                *ret = TAKE_PTR(url);
        return r;
}
