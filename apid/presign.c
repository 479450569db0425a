/* SPDX-License-Identifier: Apache-2.0 */

#include "presign.h"

#include <openssl/crypto.h>
#include <string.h>

#include "log.h"

static int open_secret(Request *request, const PGresult *upload, char ret[static SECRET_PLAIN_MAX + 1]) {
        const unsigned char *text = (const unsigned char *) database_text(upload, "secret");
        size_t size;
        int r;

        unsigned char *stored = PQunescapeBytea(text, &size);
        if (!stored)
                return -ENOMEM;
        r = secret_open(&request->context->master_keys, database_text(upload, "bucket_id"), stored, size,
                        ret);
        PQfreemem(stored);
        if (r < 0)
                log_error_errno(r,
                                "The secret key of bucket %s cannot be decrypted: is it the master key that it was "
                                "encrypted with? Else set it again with streamsight-admin bucket set",
                                database_text(upload, "bucket_id"));
        return r;
}

static const char *format_time(Request *request, time_t time) {
        struct tm tm;
        char text[40];

        if (!gmtime_r(&time, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000000Z", &tm) == 0)
                return NULL;
        return request_keep(request, strdup(text));
}

int presign(Request *request, const PGresult *upload, const char *method, SigV4Header *headers,
            size_t *n_headers, bool encrypt, const char **ret_url, const char **ret_expires) {
        const char *bucket = database_text(upload, "bucket"), *key = database_text(upload, "object_key");
        const char *endpoint = database_text(upload, "endpoint"), *sse = database_text(upload, "sse");
        bool path_style = strcmp(database_text(upload, "path_style"), "t") == 0;
        _cleanup_free_ char *host = NULL, *path = NULL;
        char secret[SECRET_PLAIN_MAX + 1];
        char *url = NULL;
        int r;

        if (strncmp(endpoint, "https://", 8) != 0)
                return -EINVAL;
        if (asprintf(&host, "%s%s%s", path_style ? "" : bucket, path_style ? "" : ".", endpoint + 8) < 0)
                host = NULL;
        if (asprintf(&path, "%s%s/%s", path_style ? "/" : "", path_style ? bucket : "", key) < 0)
                path = NULL;
        if (!host || !path)
                return -ENOMEM;
        if (encrypt && sse[0]) {
                const char *key_id = database_text(upload, "sse_kms_key_id");
                if (*n_headers + 2 > SIGV4_HEADERS_MAX)
                        return -E2BIG;
                headers[(*n_headers)++] = (SigV4Header){ "x-amz-server-side-encryption", sse };
                if (key_id[0])
                        headers[(*n_headers)++] =
                                        (SigV4Header){ "x-amz-server-side-encryption-aws-kms-key-id",
                                                       key_id };
        }

        r = open_secret(request, upload, secret);
        if (r < 0)
                return r;
        SigV4Request what = {
                .method = method,
                .host = host,
                .path = path,
                .region = database_text(upload, "region"),
                .access_key_id = database_text(upload, "access_key_id"),
                .secret_key = secret,
                .time = time(NULL),
                .expires = PRESIGN_SECONDS,
                .headers = headers,
                .n_headers = *n_headers,
        };
        r = sigv4_presign(&what, &url);
        OPENSSL_cleanse(secret, sizeof(secret));
        if (r < 0)
                return r;
        *ret_url = request_keep(request, url);
        *ret_expires = format_time(request, what.time + PRESIGN_SECONDS);
        return *ret_url && *ret_expires ? 0 : -ENOMEM;
}
