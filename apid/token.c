/* SPDX-License-Identifier: Apache-2.0 */

#include "token.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "jws.h"
#include "value.h"

int token_make(Request *request, const char *prefix, const char **ret) {
        uint8_t random[32];
        _cleanup_free_ char *text = NULL;
        char *token;
        int r;

        if (RAND_bytes(random, sizeof(random)) != 1)
                return -EIO;
        r = base64url_encode(random, sizeof(random), &text);
        OPENSSL_cleanse(random, sizeof(random));
        if (r < 0)
                return r;
        if (asprintf(&token, "%s_%s", prefix, text) < 0 || !request_keep(request, token))
                return -ENOMEM;
        *ret = token;
        return 0;
}

const char *token_bytea(Request *request, const uint8_t *data, size_t size) {
        char *text = malloc(2 * size + 3);

        if (!text)
                return NULL;
        strcpy(text, "\\x");
        value_format_hex(data, size, text + 2);
        return request_keep(request, text);
}
