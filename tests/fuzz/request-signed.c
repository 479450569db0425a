/* SPDX-License-Identifier: Apache-2.0 */
#include "request-signed.h"

#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "code.h"
#include "request-words.h"
#include "statement.h"
#include "value.h"

static EVP_PKEY *read_key(const char *folder, const char *name) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s.pem", folder, name) < 0)
                abort();
        FILE *file = fopen(path, "re");
        EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
        if (file)
                fclose(file);
        return key;
}

/* "" if it is no string. */
static const char *text_of(const json_t *body, const char *name) {
        return json_string_value(json_object_get(body, name)) ?: "";
}

static void copy(char *ret, size_t size, const char *text) {
        snprintf(ret, size, "%s", text);
}

static const char *recording_of(const char *path) {
        static const char prefix[] = "/v1/recordings/";

        return strncmp(path, prefix, strlen(prefix)) == 0 ? path + strlen(prefix) : "";
}

static char *segment(const SignedRequest *request, const json_t *body, const char *device, EVP_PKEY *key) {
        SegmentStatement said = { .sequence = (uint32_t) json_integer_value(
                                                  json_object_get(body, "sequence")),
                                  .size = (uint64_t) json_integer_value(json_object_get(body, "size")) };
        char *statement = NULL;

        copy(said.device, sizeof(said.device), device);
        copy(said.recording, sizeof(said.recording), recording_of(request->path));
        copy(said.sha256, sizeof(said.sha256), text_of(body, "sha256"));
        copy(said.previous_sha256, sizeof(said.previous_sha256), text_of(body, "previous_sha256"));
        copy(said.started_at, sizeof(said.started_at), text_of(body, "started_at"));
        copy(said.ended_at, sizeof(said.ended_at), text_of(body, "ended_at"));
        return segment_statement_sign(key, &said, &statement) < 0 ? NULL : statement;
}

static char *recording(const SignedRequest *request, const json_t *body, const char *device, EVP_PKEY *key) {
        RecordingStatement said = { .segments = (uint32_t) json_integer_value(
                                                    json_object_get(body, "segments")) };
        char *statement = NULL;

        copy(said.device, sizeof(said.device), device);
        copy(said.recording, sizeof(said.recording), recording_of(request->path));
        copy(said.ended_at, sizeof(said.ended_at), text_of(body, "ended_at"));
        copy(said.reason, sizeof(said.reason), text_of(body, "reason"));
        return recording_statement_sign(key, &said, &statement) < 0 ? NULL : statement;
}

static json_t *hash_of(const char *text) {
        uint8_t digest[32];
        char hex[65];

        if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
                abort();
        value_format_hex(digest, sizeof(digest), hex);
        return json_string(hex);
}

/* Everything that one of the proofs and assertions must say: each takes what it knows. */
static char *claims(const SignedRequest *request, const json_t *body, const char *device, EVP_PKEY *key) {
        static unsigned long n;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *next = NULL;
        _cleanup_free_ char *code = strdup(text_of(body, "code")), *jti = NULL, *audience = NULL;
        bool token = strcmp(request->path, "/v1/devices/token") == 0;
        char thumbprint[THUMBPRINT_SIZE] = "", *signed_text = NULL;
        json_int_t now = time(NULL);

        if (!code || asprintf(&jti, "jti-of-22-letters-or-more-%lu", n++) < 0 ||
            asprintf(&audience, "%s%s", words_get("url"), token ? request->path : "") < 0)
                abort();
        code_normalise(code);
        if (jwk_to_key(json_object_get(body, "public_key"), &next) >= 0 &&
            jwk_thumbprint(next, thumbprint) < 0)
                abort();
        _cleanup_(json_decrefp) json_t *all =
                        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:o, s:o}", "aud", audience,
                                  "iss", device, "sub", device, "jti", jti, "iat", now, "exp", now + 50,
                                  "key", thumbprint, "code_sha256", hash_of(code), "token_sha256",
                                  hash_of(request->token ?: ""), "leave", hash_of(request->token ?: ""));
        return jws_sign(key, NULL, all, &signed_text) < 0 ? NULL : signed_text;
}

static bool ends_with(const char *text, const char *end) {
        size_t n = strlen(text), m = strlen(end);

        return n >= m && strcmp(text + n - m, end) == 0;
}

char *request_signed(const SignedRequest *request, const char *name) {
        _cleanup_(json_decrefp) json_t *body = json_loadb(request->body, request->body_size, 0, NULL);
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = read_key(request->folder, name);
        const char *device = words_get(name) ?: "";

        if (!key)
                return NULL;
        if (ends_with(request->path, "/segments"))
                return segment(request, body, device, key);
        if (ends_with(request->path, "/finish"))
                return recording(request, body, device, key);
        return claims(request, body, device, key);
}
