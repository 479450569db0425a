/* SPDX-License-Identifier: Apache-2.0 */

#include "sigv4.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ALGORITHM   "AWS4-HMAC-SHA256"
#define SERVICE     "s3"
#define DIGEST_SIZE 32U
#define SECRET_MAX  256U

DEFINE_CLEANUP(EVP_MAC_CTX *, EVP_MAC_CTX_freep, EVP_MAC_CTX_free)

/* OpenSSL looks an algorithm up by its name each time that it is not given one which it has looked up
 * before, and that takes longer than to hash what is hashed here. */
static EVP_MD *sha256;
static EVP_MAC *hmac;

static void fetch(void) {
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

/* A text that is added to. Once there is no memory for it, nothing is. */
typedef struct Text {
        char *data;
        size_t length, allocated;
        bool failed;
} Text;

static void text_done(Text *text) {
        free(text->data);
}

static void put_bytes(Text *text, const char *bytes, size_t n) {
        if (text->failed)
                return;
        if (text->allocated - text->length <= n) {
                size_t wanted = 2 * text->allocated + n + 512;
                char *larger = realloc(text->data, wanted);
                if (!larger) {
                        text->failed = true;
                        return;
                }
                text->data = larger;
                text->allocated = wanted;
        }
        memcpy(text->data + text->length, bytes, n);
        text->length += n;
        text->data[text->length] = '\0';
}

static void put_char(Text *text, char c) {
        put_bytes(text, &c, 1);
}

static void put_strings(Text *text, ...) {
        va_list ap;

        va_start(ap, text);
        for (const char *s; (s = va_arg(ap, const char *));)
                put_bytes(text, s, strlen(s));
        va_end(ap);
}

/* Those given, up to a NULL. */
#define put(...) put_strings(__VA_ARGS__, NULL)

static int text_take(Text *text, char **ret) {
        if (text->failed || !text->data)
                return -ENOMEM;
        *ret = TAKE_PTR(text->data);
        return 0;
}

static bool is_unreserved(unsigned char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.' || c == '_' || c == '~';
}

/* RFC 3986 percent-encoding, upper-case; S3's paths are encoded once and not normalised. */
static void put_encoded(Text *out, const char *text, bool keep_slashes) {
        static const char digits[] = "0123456789ABCDEF";

        for (const unsigned char *p = (const unsigned char *) text; *p;) {
                size_t plain = 0;
                while (is_unreserved(p[plain]) || (keep_slashes && p[plain] == '/'))
                        plain++;
                put_bytes(out, (const char *) p, plain);
                p += plain;
                if (*p) {
                        put_bytes(out, (const char[]){ '%', digits[*p >> 4], digits[*p & 15] }, 3);
                        p++;
                }
        }
}

/* A header's value as it is signed: without spaces at its ends, runs of spaces as one. */
static void put_trimmed(Text *out, const char *value) {
        for (const char *p = value + strspn(value, " "); *p;) {
                size_t length = strcspn(p, " ");
                put_bytes(out, p, length);
                p += length;
                size_t spaces = strspn(p, " ");
                if (p[spaces] && spaces > 0)
                        put_char(out, ' ');
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
static int sort_headers(const SigV4Request *request, const char *host,
                        SigV4Header ret[static SIGV4_HEADERS_MAX + 1]) {
        if (request->n_headers > SIGV4_HEADERS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < request->n_headers; i++) {
                if (!header_is_signable(&request->headers[i]))
                        return -EINVAL;
                ret[i] = request->headers[i];
        }
        ret[request->n_headers] = (SigV4Header){ "host", host };
        qsort(ret, request->n_headers + 1, sizeof(SigV4Header), compare_headers);
        for (size_t i = 0; i < request->n_headers; i++)
                if (strcmp(ret[i].name, ret[i + 1].name) == 0)
                        return -EINVAL;
        return 0;
}

static void put_hex(Text *out, const uint8_t digest[static DIGEST_SIZE]) {
        static const char digits[] = "0123456789abcdef";
        char hex[2 * DIGEST_SIZE];

        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                hex[2 * i] = digits[digest[i] >> 4];
                hex[2 * i + 1] = digits[digest[i] & 15];
        }
        put_bytes(out, hex, sizeof(hex));
}

static int authenticate(EVP_MAC_CTX *context, const void *key, size_t key_size, const char *text,
                        uint8_t ret[static DIGEST_SIZE]) {
        size_t size;

        if (EVP_MAC_init(context, key, key_size, NULL) != 1 ||
            EVP_MAC_update(context, (const uint8_t *) text, strlen(text)) != 1 ||
            EVP_MAC_final(context, ret, &size, DIGEST_SIZE) != 1)
                return -EIO;
        return 0;
}

static int derive_key(EVP_MAC_CTX *context, const SigV4Request *request, const char *date,
                      uint8_t ret[static DIGEST_SIZE]) {
        const char *const parts[] = { date, request->region, SERVICE, "aws4_request" };
        char start[SECRET_MAX + sizeof("AWS4")];
        int r = 0;

        if (strlen(request->secret_key) > SECRET_MAX)
                return -EINVAL;
        snprintf(start, sizeof(start), "AWS4%s", request->secret_key);
        for (size_t i = 0; i < ELEMENTSOF(parts) && r >= 0; i++)
                r = i == 0 ? authenticate(context, start, strlen(start), parts[i], ret)
                           : authenticate(context, ret, DIGEST_SIZE, parts[i], ret);
        OPENSSL_cleanse(start, sizeof(start));
        return r;
}

/* The query's parameters but the signature; they are in the order of their names. */
static void put_query(Text *out, const SigV4Request *request, const char *stamp, const char *scope,
                      const char *signed_headers) {
        char expires[16];

        snprintf(expires, sizeof(expires), "%u", request->expires);
        put(out, "X-Amz-Algorithm=" ALGORITHM "&X-Amz-Credential=");
        put_encoded(out, request->access_key_id, false);
        put(out, "%2F");
        put_encoded(out, scope, false);
        put(out, "&X-Amz-Date=", stamp, "&X-Amz-Expires=", expires);
        if (request->session_token) {
                put(out, "&X-Amz-Security-Token=");
                put_encoded(out, request->session_token, false);
        }
        put(out, "&X-Amz-SignedHeaders=");
        put_encoded(out, signed_headers, false);
        if (request->query)
                put(out, "&", request->query);
}

static int digest_canonical_request(const SigV4Request *request, const SigV4Header *headers, size_t n,
                                    const char *query, const char *signed_headers,
                                    uint8_t ret[static DIGEST_SIZE]) {
        _cleanup_(text_done) Text out = {};
        const char *payload = "UNSIGNED-PAYLOAD";

        put(&out, request->method, "\n");
        put_encoded(&out, request->path, true);
        put(&out, "\n", query, "\n");
        for (size_t i = 0; i < n; i++) {
                put(&out, headers[i].name, ":");
                put_trimmed(&out, headers[i].value);
                put_char(&out, '\n');
                if (strcmp(headers[i].name, "x-amz-content-sha256") == 0)
                        payload = headers[i].value;
        }
        put(&out, "\n", signed_headers, "\n", payload);
        if (out.failed)
                return -ENOMEM;
        return EVP_Digest(out.data, out.length, ret, NULL, sha256, NULL) == 1 ? 0 : -EIO;
}

static int sign(const SigV4Request *request, const char *stamp, const char *scope, const uint8_t *canonical,
                uint8_t ret[static DIGEST_SIZE]) {
        const OSSL_PARAM digest[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *) "SHA256", 0),
                OSSL_PARAM_construct_end(),
        };
        _cleanup_(text_done) Text out = {};
        uint8_t key[DIGEST_SIZE];
        char date[9] = {};
        int r;

        put(&out, ALGORITHM "\n", stamp, "\n", scope, "\n");
        put_hex(&out, canonical);
        if (out.failed)
                return -ENOMEM;
        _cleanup_(EVP_MAC_CTX_freep) EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);
        if (!context)
                return -ENOMEM;
        if (EVP_MAC_CTX_set_params(context, digest) != 1)
                return -EIO;
        memcpy(date, stamp, 8);
        r = derive_key(context, request, date, key);
        if (r >= 0)
                r = authenticate(context, key, sizeof(key), out.data, ret);
        OPENSSL_cleanse(key, sizeof(key));
        return r;
}

char *sigv4_encode(const char *text) {
        Text out = {};

        put_encoded(&out, text, false);
        put(&out, "");
        if (out.failed)
                text_done(&out);
        return out.failed ? NULL : out.data;
}

int sigv4_presign(const SigV4Request *request, char **ret) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        SigV4Header headers[SIGV4_HEADERS_MAX + 1];
        _cleanup_(text_done) Text scope = {}, names = {}, query = {}, url = {};
        uint8_t canonical[DIGEST_SIZE], signature[DIGEST_SIZE];
        size_t n = request->n_headers + 1;
        char stamp[32], date[9] = {};
        struct tm tm;
        int r;

        if (request->path[0] != '/' ||
            (request->query && !(request->query[0] >= 'a' && request->query[0] <= 'z')) ||
            request->expires == 0 || request->expires > 604800)
                return -EINVAL;
        if (!gmtime_r(&request->time, &tm) || strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm) != 16)
                return -EINVAL;
        pthread_once(&once, fetch);
        if (!sha256 || !hmac)
                return -EIO;
        memcpy(date, stamp, 8);
        put(&scope, date, "/", request->region, "/" SERVICE "/aws4_request");
        const char *port = strchr(request->host, ':');
        _cleanup_free_ char *host = port && strcmp(port, ":443") == 0
                                                    ? strndup(request->host, (size_t) (port - request->host))
                                                    : strdup(request->host);
        if (!host)
                return -ENOMEM;
        r = sort_headers(request, host, headers);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                put(&names, i > 0 ? ";" : "", headers[i].name);
        if (scope.failed || names.failed)
                return -ENOMEM;
        put_query(&query, request, stamp, scope.data, names.data);
        if (query.failed)
                return -ENOMEM;
        if ((r = digest_canonical_request(request, headers, n, query.data, names.data, canonical)) < 0 ||
            (r = sign(request, stamp, scope.data, canonical, signature)) < 0)
                return r;

        put(&url, "https://", host);
        put_encoded(&url, request->path, true);
        put(&url, "?", query.data, "&X-Amz-Signature=");
        put_hex(&url, signature);
        return text_take(&url, ret);
}
