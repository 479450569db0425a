/* SPDX-License-Identifier: Apache-2.0 */

#include "verify-credentials.h"

#include <ini.h>
#include <string.h>

typedef struct Reading {
        Credentials *credentials;
        const char *profile;
} Reading;

static int take(char *to, size_t size, const char *value) {
        if (!value || strlen(value) >= size)
                return -ENOKEY;
        strcpy(to, value);
        return 0;
}

static int on_line(void *userdata, const char *section, const char *name, const char *value) {
        Reading *reading = userdata;
        Credentials *c = reading->credentials;
        int r = 0;

        if (!name || strcmp(section, reading->profile) != 0)
                return 1;
        if (strcmp(name, "aws_access_key_id") == 0)
                r = take(c->access_key_id, sizeof(c->access_key_id), value);
        else if (strcmp(name, "aws_secret_access_key") == 0)
                r = take(c->secret_key, sizeof(c->secret_key), value);
        else if (strcmp(name, "aws_session_token") == 0)
                r = take(c->session_token, sizeof(c->session_token), value);
        return r >= 0;
}

static int from_file(Credentials *ret) {
        const char *path = getenv("AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME");
        Reading reading = { ret, getenv("AWS_PROFILE") ?: "default" };
        _cleanup_free_ char *made = NULL;

        if (!path) {
                if (!home || asprintf(&made, "%s/.aws/credentials", home) < 0) {
                        made = NULL;
                        return -ENOKEY;
                }
                path = made;
        }
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        if (!file)
                return errno == ENOENT ? -ENOKEY : -errno;
        return ini_parse_file(file, on_line, &reading) == 0 ? 0 : -ENOKEY;
}

int credentials_find(Credentials *ret) {
        const char *token = getenv("AWS_SESSION_TOKEN");
        int r;

        *ret = (Credentials){};
        if (getenv("AWS_ACCESS_KEY_ID")) {
                r = take(ret->access_key_id, sizeof(ret->access_key_id), getenv("AWS_ACCESS_KEY_ID"));
                if (r >= 0)
                        r = take(ret->secret_key, sizeof(ret->secret_key), getenv("AWS_SECRET_ACCESS_KEY"));
                if (r >= 0 && token)
                        r = take(ret->session_token, sizeof(ret->session_token), token);
        } else
                r = from_file(ret);
        if (r < 0)
                return r;
        return ret->access_key_id[0] && ret->secret_key[0] ? 0 : -ENOKEY;
}
