/* SPDX-License-Identifier: Apache-2.0 */

#include <openssl/crypto.h>
#include <string.h>

#include "database.h"
#include "handlers.h"
#include "token.h"
#include "value.h"

/* POST /v1/buckets: the one request that brings a secret, which is encrypted before it goes to the database.
 */
int handle_bucket(Request *request) {
        enum { ENDPOINT, REGION, BUCKET, PREFIX, PATH_STYLE, SSE, KMS_KEY_ID, KEY_ID, SECRET, _N };
        Field fields[_N] = {
                [ENDPOINT] = { "endpoint", FIELD_TEXT, .maximum = 300 },
                [REGION] = { "region", FIELD_TEXT, .maximum = 64 },
                [BUCKET] = { "bucket", FIELD_TEXT, .maximum = 63 },
                [PREFIX] = { "prefix", FIELD_TEXT, .omittable = true, .maximum = 512 },
                [PATH_STYLE] = { "path_style", FIELD_BOOL },
                [SSE] = { "sse", FIELD_WORD, .omittable = true, .words = "AES256 aws:kms" },
                [KMS_KEY_ID] = { "sse_kms_key_id", FIELD_TEXT, .omittable = true, .maximum = 2048 },
                [KEY_ID] = { "access_key_id", FIELD_TEXT, .maximum = 128 },
                [SECRET] = { "secret_access_key", FIELD_TEXT, .maximum = SECRET_PLAIN_MAX },
        };
        _cleanup_(PQclearp) PGresult *found = NULL, *result = NULL;
        uint8_t stored[SECRET_STORED_MAX];
        size_t size;
        int r;

        r = request_read_fields(request, fields, _N);
        if (r < 0)
                return r;
        const char *const place[] = { request->token,           fields[ENDPOINT].parameter,
                                      fields[REGION].parameter, fields[BUCKET].parameter,
                                      fields[PREFIX].parameter, fields[PATH_STYLE].parameter,
                                      fields[SSE].parameter,    fields[KMS_KEY_ID].parameter };
        r = database_call_repeatable(request, "bucket_id", place, ELEMENTSOF(place), &found);
        if (r < 0)
                return r;
        const char *id = PQgetvalue(found, 0, 0);
        r = secret_seal(&request->context->master_keys, id, fields[SECRET].text, stored, &size);
        if (r < 0)
                return r;
        const char *const parameters[] = {
                request->token,
                id,
                fields[ENDPOINT].parameter,
                fields[REGION].parameter,
                fields[BUCKET].parameter,
                fields[PREFIX].parameter,
                fields[PATH_STYLE].parameter,
                fields[SSE].parameter,
                fields[KMS_KEY_ID].parameter,
                fields[KEY_ID].parameter,
                token_bytea(request, stored, size),
                request_client_address(request),
        };
        r = database_call(request, "set_bucket", parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : request_reply_text(request, MHD_HTTP_CREATED, PQgetvalue(result, 0, 0));
}
