/* SPDX-License-Identifier: Apache-2.0 */

#include "management.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "code.h"
#include "database.h"
#include "handlers.h"
#include "session.h"
#include "value.h"

#define PAGE_MAX              1000U
#define NAME_MAX_BYTES        200U
#define EMAIL_MAX             254U
#define REFERENCE_MAX         100U
#define IDEMPOTENCY_KEY_MAX   200U
#define ENROLMENT_TTL_MAX     (30U * 24 * 60 * 60)
#define ENROLMENT_CODE_GROUPS 5U /* 99 bits */
#define INVITATION_GROUPS     6U /* 118 bits */
#define PARAMETERS_MAX        16U
#define NONCE_SIZE            32U /* a master key's name, and randomness */

#define AFTER                                                                                               \
        { "after", FIELD_UUID, .omittable = true }
#define AFTER_NUMBER                                                                                        \
        { "after", FIELD_UINT, .omittable = true, .maximum = INT32_MAX }
#define LIMIT                                                                                               \
        { "limit", FIELD_UINT, .omittable = true, .minimum = 1, .maximum = PAGE_MAX }
#define ROLES "owner admin manager auditor"

/* A route and its operation in one line each. */
#define MANAGE(method, path, ...)                                                                           \
        {                                                                                                   \
                method, path, AUTH_USER, handle_managed, .operation = &(const struct Operation) {           \
                        __VA_ARGS__                                                                         \
                }                                                                                           \
        }

const Route management_routes[] = {
        MANAGE("GET", "/v1/company", "show_company"),
        MANAGE("PATCH", "/v1/company", "change_company",
               { { "name", FIELD_TEXT, .maximum = NAME_MAX_BYTES } }, .changes = true),

        MANAGE("GET", "/v1/users", "list_users", { AFTER, LIMIT }),
        MANAGE("POST", "/v1/users", "create_user",
               { { "email", FIELD_TEXT, .maximum = EMAIL_MAX },
                 { "name", FIELD_TEXT, .maximum = NAME_MAX_BYTES },
                 { "role", FIELD_WORD, .words = ROLES } },
               SECRET_INVITATION, .status = 201, .changes = true, .idempotent = true),
        MANAGE("GET", "/v1/users/{uuid}", "show_user"),
        MANAGE("PATCH", "/v1/users/{uuid}", "change_user",
               { { "name", FIELD_TEXT, .omittable = true, .maximum = NAME_MAX_BYTES },
                 { "role", FIELD_WORD, .omittable = true, .words = ROLES },
                 { "state", FIELD_WORD, .omittable = true, .words = "active disabled" } },
               .changes = true),
        MANAGE("POST", "/v1/users/{uuid}/invitation", "invite_user", {}, SECRET_INVITATION, .status = 201,
               .changes = true, .idempotent = true),
        MANAGE("DELETE", "/v1/users/{uuid}/sessions", "end_user_sessions", .status = 204, .changes = true,
               .ends_sessions = true),
        MANAGE("GET", "/v1/users/{uuid}/employees", "list_assignments", { AFTER, LIMIT }),
        MANAGE("PUT", "/v1/users/{uuid}/employees/{uuid}", "assign", .status = 204, .changes = true),
        MANAGE("DELETE", "/v1/users/{uuid}/employees/{uuid}", "unassign", .status = 204, .changes = true),

        MANAGE("GET", "/v1/employees", "list_employees", { AFTER, LIMIT }),
        MANAGE("POST", "/v1/employees", "create_employee",
               { { "name", FIELD_TEXT, .maximum = NAME_MAX_BYTES },
                 { "reference", FIELD_TEXT, .omittable = true, .maximum = REFERENCE_MAX } },
               .status = 201, .changes = true, .idempotent = true),
        MANAGE("GET", "/v1/employees/{uuid}", "show_employee"),
        MANAGE("PATCH", "/v1/employees/{uuid}", "change_employee",
               { { "name", FIELD_TEXT, .omittable = true, .maximum = NAME_MAX_BYTES },
                 { "reference", FIELD_TEXT, .omittable = true, .maximum = REFERENCE_MAX },
                 { "state", FIELD_WORD, .omittable = true, .words = "employed left" } },
               .changes = true),

        MANAGE("GET", "/v1/devices", "list_devices",
               { { "employee", FIELD_UUID, .omittable = true }, AFTER, LIMIT }),
        MANAGE("GET", "/v1/devices/{uuid}", "show_device"),
        MANAGE("GET", "/v1/devices/{uuid}/diagnostics", "list_diagnostics"),
        MANAGE("PUT", "/v1/devices/{uuid}/employee", "assign_device",
               { { "employee_id", FIELD_UUID, .optional = true } }, .changes = true),
        MANAGE("POST", "/v1/devices/{uuid}/revoke", "revoke_device", .changes = true),
        MANAGE("GET", "/v1/enrolment-codes", "list_enrolment_codes", { AFTER, LIMIT }),
        MANAGE("POST", "/v1/enrolment-codes", "create_enrolment_code",
               { { "employee_id", FIELD_UUID, .omittable = true },
                 { "lifetime", FIELD_UINT, .omittable = true, .minimum = 60,
                   .maximum = ENROLMENT_TTL_MAX } },
               SECRET_ENROLMENT_CODE, .status = 201, .changes = true, .idempotent = true),
        MANAGE("DELETE", "/v1/enrolment-codes/{uuid}", "withdraw_enrolment_code", .status = 204,
               .changes = true),

        MANAGE("GET", "/v1/policies", "list_policies", { AFTER_NUMBER, LIMIT }),
        MANAGE("POST", "/v1/policies", "create_policy",
               { { "revision", FIELD_UINT, .maximum = INT32_MAX },
                 { "recording", FIELD_WORD, .omittable = true, .words = "automatic manual off" },
                 { "frames_per_second", FIELD_UINT, .omittable = true, .minimum = 1, .maximum = 30 },
                 { "jpeg_quality", FIELD_UINT, .omittable = true, .minimum = 1, .maximum = 100 },
                 { "segment_seconds", FIELD_UINT, .omittable = true, .minimum = 1, .maximum = 60 },
                 { "segment_bytes", FIELD_UINT, .omittable = true, .minimum = 65536, .maximum = 16777216 },
                 { "bytes_per_minute", FIELD_UINT, .omittable = true, .maximum = 4000000000 },
                 { "cpu_ms_per_second", FIELD_UINT, .omittable = true, .maximum = 1000 },
                 { "pause_seconds", FIELD_UINT, .omittable = true, .maximum = 86400 },
                 { "record_locked", FIELD_BOOL, .omittable = true } },
               .status = 201, .changes = true),
        MANAGE("GET", "/v1/buckets", "list_buckets", { AFTER, LIMIT }),
        { "POST", "/v1/buckets", AUTH_USER, handle_bucket },
        MANAGE("GET", "/v1/recordings/{uuid}/statements", "list_statements", { AFTER_NUMBER, LIMIT }),
        MANAGE("GET", "/v1/audit", "list_audit",
               { { "from", FIELD_TIME, .omittable = true },
                 { "to", FIELD_TIME, .omittable = true },
                 { "action", FIELD_TEXT, .omittable = true, .maximum = 64 },
                 { "subject", FIELD_UUID, .omittable = true },
                 AFTER_NUMBER,
                 LIMIT }),
};

const size_t n_management_routes = ELEMENTSOF(management_routes);

typedef struct Call {
        const char *parameters[PARAMETERS_MAX];
        size_t n;
        const char *key;                     /* Idempotency-Key, "" without */
        char key_hash[65], request_hash[65]; /* likewise */
        char nonce[2 * NONCE_SIZE + 3];      /* as PostgreSQL prints a bytea */
        char code[CODE_SIZE(INVITATION_GROUPS)], plain[CODE_PLAIN(INVITATION_GROUPS)];
} Call;

static int hash_request(Request *request, char ret[static 65]) {
        _cleanup_free_ char *text = NULL;
        uint8_t digest[32];

        if (asprintf(&text, "%s %s %s %s %s", request->route->method, request->route->path,
                     request->values[0] ?: "", request->values[1] ?: "", request->body ?: "") < 0) {
                text = NULL;
                return -ENOMEM;
        }
        if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        value_format_hex(digest, sizeof(digest), ret);
        return 0;
}

/* A secret that is shown is derived from the master key, what it is for, and a nonce, which the database
 * keeps with the answer if the request may be repeated: so a repetition is shown the same although nobody
 * has kept it, and whatever the client takes as Idempotency-Key, another request gets another. -ENOKEY: the
 * nonce is of none of the master keys, or there is none. */
static int derive_secret(Request *request, OperationSecret secret, Call *call) {
        unsigned groups = secret == SECRET_INVITATION ? INVITATION_GROUPS : ENROLMENT_CODE_GROUPS;
        _cleanup_free_ char *text = NULL;
        uint8_t nonce[NONCE_SIZE], derived[32];
        const uint8_t *master_key = NULL;
        int r;

        if (value_parse_bytea(call->nonce, nonce, sizeof(nonce)) >= 0)
                master_key = master_keys_find(&request->context->master_keys, nonce);
        if (!master_key)
                return -ENOKEY;
        if (asprintf(&text, "streamsight shown secret %i %s %s %s", (int) secret, request->account,
                     call->nonce, call->key) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        if (!HMAC(EVP_sha256(), master_key, MASTER_KEY_SIZE, (const unsigned char *) text, strlen(text),
                  derived, NULL))
                return -EIO;
        r = code_derive(derived, sizeof(derived), groups, call->code, call->plain);
        OPENSSL_cleanse(derived, sizeof(derived));
        return r;
}

static int make_secret(Request *request, OperationSecret secret, Call *call) {
        uint8_t nonce[NONCE_SIZE];

        if (master_key_id(request->context->master_keys.keys[0], nonce) < 0 ||
            RAND_bytes(nonce + MASTER_KEY_ID_SIZE, sizeof(nonce) - MASTER_KEY_ID_SIZE) != 1)
                return -EIO;
        strcpy(call->nonce, "\\x");
        value_format_hex(nonce, sizeof(nonce), call->nonce + 2);
        return derive_secret(request, secret, call);
}

static int read_key(Request *request, Call *call) {
        const char *key =
                        MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Idempotency-Key");
        uint8_t digest[32];

        if (!key)
                return 0;
        if (!value_is_text(key, IDEMPOTENCY_KEY_MAX))
                return request_problem_detail(request, PROBLEM_FIELD_INVALID,
                                              "The header \"Idempotency-Key\" must have 1 to %u characters.",
                                              IDEMPOTENCY_KEY_MAX);
        if (EVP_Digest(key, strlen(key), digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        value_format_hex(digest, sizeof(digest), call->key_hash);
        call->key = key;
        return hash_request(request, call->request_hash);
}

static const char *as_bytea(Request *request, const char *hex) {
        char *text;

        return hex[0] && asprintf(&text, "\\x%s", hex) >= 0 ? request_keep(request, text) : NULL;
}

static int prepare(Request *request, const struct Operation *operation, Call *call) {
        Field fields[OPERATION_FIELDS_MAX];
        size_t n_fields = 0;
        int r = 0;

        memcpy(fields, operation->fields, sizeof(fields));
        while (n_fields < OPERATION_FIELDS_MAX && fields[n_fields].name)
                n_fields++;
        if (n_fields > 0)
                r = strcmp(request->route->method, "GET") == 0
                                    ? request_read_query(request, fields, n_fields)
                                    : request_read_fields(request, fields, n_fields);
        if (r >= 0 && operation->idempotent)
                r = read_key(request, call);
        if (r >= 0 && operation->secret != SECRET_NONE)
                r = make_secret(request, operation->secret, call);
        if (r < 0)
                return r;

        call->parameters[call->n++] = request->token;
        for (size_t i = 0; i < ROUTE_VALUES_MAX && request->values[i]; i++)
                call->parameters[call->n++] = request->values[i];
        for (size_t i = 0; i < n_fields; i++)
                call->parameters[call->n++] = fields[i].parameter;
        if (operation->secret != SECRET_NONE)
                call->parameters[call->n++] = call->plain;
        if (operation->changes)
                call->parameters[call->n++] = request_client_address(request);
        if (operation->idempotent) {
                call->parameters[call->n++] = as_bytea(request, call->key_hash);
                call->parameters[call->n++] = as_bytea(request, call->request_hash);
        }
        if (operation->secret != SECRET_NONE)
                call->parameters[call->n++] = call->nonce;
        return 0;
}

/* Of the nonce that the database has answered: a repetition's is that of the first time. */
static int reply_with_secret(Request *request, const struct Operation *operation, Call *call,
                             const char *json) {
        _cleanup_(json_decrefp) json_t *answer = json_loads(json, 0, NULL);
        int r;

        if (!answer)
                return -ENOMEM;
        snprintf(call->nonce, sizeof(call->nonce), "%s",
                 json_string_value(json_object_get(answer, "nonce")) ?: "");
        r = derive_secret(request, operation->secret, call);
        if (r == -ENOKEY)
                return request_problem_detail(
                                request, PROBLEM_IDEMPOTENCY_KEY_REUSED,
                                "What was shown for this key cannot be shown again: the master "
                                "key has changed. Ask with another key.");
        if (r < 0)
                return r;
        (void) json_object_del(answer, "nonce");
        if (json_object_set_new(answer, operation->secret == SECRET_INVITATION ? "invitation" : "code",
                                json_string(call->code)) < 0)
                return -ENOMEM;
        return request_reply_json(request, operation->status ?: MHD_HTTP_OK, TAKE_PTR(answer));
}

int handle_managed(Request *request) {
        const struct Operation *operation = request->route->operation;
        _cleanup_(PQclearp) PGresult *result = NULL;
        Call call = { .key = "" };
        int r;

        r = prepare(request, operation, &call);
        if (r < 0)
                return r;
        /* With an Idempotency-Key the database itself sees to it that a repetition makes no second one. */
        bool repeatable = strcmp(request->route->method, "GET") == 0 || call.key_hash[0];
        r = (repeatable ? database_call_repeatable : database_call)(request, operation->procedure,
                                                                    call.parameters, call.n, &result);
        if (r < 0)
                return r;
        const char *json = PQgetvalue(result, 0, 0);
        if (operation->ends_sessions)
                session_forget(request, json);
        if (operation->status == MHD_HTTP_NO_CONTENT)
                return request_reply_empty(request, MHD_HTTP_NO_CONTENT);
        if (operation->secret != SECRET_NONE)
                return reply_with_secret(request, operation, &call, json);
        return request_reply_text(request, operation->status ?: MHD_HTTP_OK, json);
}
