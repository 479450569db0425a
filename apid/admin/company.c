/* SPDX-License-Identifier: Apache-2.0 */

/* Companies: what they are called, what they record, and where to. */

#include <openssl/crypto.h>
#include <string.h>

#include "admin.h"
#include "value.h"

int command_company_create(Admin *admin) {
        const char *const parameters[] = { admin->argument };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        if (!value_is_text(admin->argument, 200))
                return admin_fail(EINVAL, "A company's name has 1 to 200 bytes, without control characters");
        r = admin_query(admin,
                        "WITH made AS (INSERT INTO streamsight.company (name) VALUES ($1) RETURNING id, name),"
                        " ruled AS (INSERT INTO streamsight.policy (company_id) SELECT id FROM made),"
                        " noted AS (INSERT INTO streamsight.audit (company_id, actor, action, subject_id)"
                        "           SELECT id, 'administrator', 'company.create', id FROM made)"
                        "SELECT id, name FROM made",
                        parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : admin_print_one(admin, result);
}

int command_policy_set(Admin *admin) {
        static const struct {
                Option option;
                const char *name;
                uint64_t maximum;
                bool none; /* 0 is a value */
        } numbers[] = {
                { OPTION_FRAMES_PER_SECOND, "--frames-per-second", 30 },
                { OPTION_JPEG_QUALITY, "--jpeg-quality", 100 },
                { OPTION_SEGMENT_SECONDS, "--segment-seconds", 60 },
                { OPTION_BYTES_PER_MINUTE, "--bytes-per-minute", 4000000000 },
                { OPTION_CPU_MS_PER_SECOND, "--cpu-ms-per-second", 1000 },
                { OPTION_PAUSE_SECONDS, "--pause-seconds", 86400, true },
        };
        const char *locked = admin->options[OPTION_RECORD_LOCKED];
        const char *recording = admin->options[OPTION_RECORDING], *company = admin->options[OPTION_COMPANY];
        const char *const parameters[] = { company,
                                           recording,
                                           admin->options[OPTION_FRAMES_PER_SECOND],
                                           admin->options[OPTION_JPEG_QUALITY],
                                           admin->options[OPTION_SEGMENT_SECONDS],
                                           admin->options[OPTION_BYTES_PER_MINUTE],
                                           admin->options[OPTION_CPU_MS_PER_SECOND],
                                           admin->options[OPTION_PAUSE_SECONDS],
                                           locked };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = admin_check_uuid("--company", company);
        if (r < 0)
                return r;
        if (recording && strcmp(recording, "automatic") != 0 && strcmp(recording, "manual") != 0 &&
            strcmp(recording, "off") != 0)
                return admin_fail(EINVAL, "--recording must be automatic, manual or off");
        if (locked && strcmp(locked, "yes") != 0 && strcmp(locked, "no") != 0)
                return admin_fail(EINVAL, "--record-locked must be yes or no");
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                if (admin->options[numbers[i].option] &&
                    !(numbers[i].none && strcmp(admin->options[numbers[i].option], "0") == 0) &&
                    (r = admin_check_uint(numbers[i].name, admin->options[numbers[i].option],
                                          numbers[i].maximum)) < 0)
                        return r;
        r = admin_query(admin,
                        "WITH changed AS ("
                        " INSERT INTO streamsight.policy (company_id, revision, recording, frames_per_second,"
                        "                                 jpeg_quality, segment_seconds, segment_bytes,"
                        "                                 bytes_per_minute, cpu_ms_per_second,"
                        "                                 pause_seconds, record_locked)"
                        " SELECT company_id, revision + 1, coalesce($2, recording),"
                        "  coalesce($3::integer, frames_per_second), coalesce($4::integer, jpeg_quality),"
                        "  coalesce($5::integer, segment_seconds), segment_bytes,"
                        "  coalesce($6::bigint, bytes_per_minute), coalesce($7::integer, cpu_ms_per_second),"
                        "  coalesce($8::integer, pause_seconds), coalesce($9::boolean, record_locked)"
                        " FROM streamsight.policy WHERE company_id = $1 ORDER BY revision DESC LIMIT 1 RETURNING *),"
                        " noted AS (INSERT INTO streamsight.audit (company_id, actor, action, subject_id, detail)"
                        "           SELECT company_id, 'administrator', 'policy.set', company_id,"
                        "            jsonb_build_object('revision', revision) FROM changed)"
                        "SELECT revision, recording, frames_per_second, jpeg_quality, segment_seconds,"
                        " bytes_per_minute, cpu_ms_per_second, pause_seconds, record_locked FROM changed",
                        parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (PQntuples(result) == 0)
                return admin_fail(ENOENT, "There is no company %s", company);
        return admin_print_one(admin, result);
}

/* The secret under the master key as PostgreSQL takes a bytea: "\x…". */
static int seal(const MasterKeys *keys, const char *bucket_id, const char *secret,
                char ret[static 2 * SECRET_STORED_MAX + 3]) {
        uint8_t stored[SECRET_STORED_MAX];
        size_t size;
        int r;

        r = secret_seal(keys, bucket_id, secret, stored, &size);
        if (r < 0)
                return admin_fail(r, "Encrypting the secret key failed: %s", strerror(-r));
        strcpy(ret, "\\x");
        value_format_hex(stored, size, ret + 2);
        return 0;
}

static int lock_bucket(Admin *admin, PGresult **ret) {
        const char *const parameters[] = { admin->options[OPTION_COMPANY],
                                           admin->options[OPTION_ENDPOINT],
                                           admin->options[OPTION_REGION],
                                           admin->options[OPTION_BUCKET],
                                           admin->options[OPTION_PREFIX],
                                           admin->options[OPTION_SSE],
                                           admin->options[OPTION_PATH_STYLE] ? "true" : "false",
                                           admin->options[OPTION_SSE_KMS_KEY_ID] };

        /* The same place again only gets another key; a new place, another id. */
        return admin_query(admin,
                           "SELECT streamsight.place_id($1, $2, $3, $4, $5, $7, $6, $8) AS id"
                           " FROM streamsight.company WHERE id = $1 FOR NO KEY UPDATE",
                           parameters, ELEMENTSOF(parameters), ret);
}

static int store_bucket(Admin *admin, const MasterKeys *keys, const char *secret, PGresult **ret) {
        char sealed[2 * SECRET_STORED_MAX + 3];
        _cleanup_(PQclearp) PGresult *found = NULL;
        int r;

        r = lock_bucket(admin, &found);
        if (r < 0)
                return r;
        if (PQntuples(found) == 0)
                return admin_fail(ENOENT, "There is no company %s", admin->options[OPTION_COMPANY]);
        const char *id = PQgetvalue(found, 0, 0);
        r = seal(keys, id, secret, sealed);
        if (r < 0)
                return r;
        const char *const parameters[] = { admin->options[OPTION_COMPANY],
                                           id,
                                           admin->options[OPTION_ENDPOINT],
                                           admin->options[OPTION_REGION],
                                           admin->options[OPTION_BUCKET],
                                           admin->options[OPTION_PREFIX],
                                           admin->options[OPTION_PATH_STYLE] ? "true" : "false",
                                           admin->options[OPTION_SSE],
                                           admin->options[OPTION_ACCESS_KEY_ID],
                                           sealed,
                                           admin->options[OPTION_SSE_KMS_KEY_ID] };
        const char *const company[] = { admin->options[OPTION_COMPANY] };
        _cleanup_(PQclearp) PGresult *others = NULL;
        r = admin_query(admin,
                        "UPDATE streamsight.bucket SET current = false WHERE company_id = $1 RETURNING id",
                        company, 1, &others);
        if (r < 0)
                return r;
        return admin_query(
                        admin,
                        "WITH made AS ("
                        " INSERT INTO streamsight.bucket (company_id, id, endpoint, region, bucket, prefix, path_style,"
                        "                                 sse, access_key_id, secret, sse_kms_key_id)"
                        " VALUES ($1, $2, $3, $4, $5, $6, $7::boolean, $8, $9, $10, $11)"
                        " ON CONFLICT (company_id, id) DO UPDATE SET access_key_id = excluded.access_key_id,"
                        "  secret = excluded.secret, current = true"
                        " RETURNING id, company_id, endpoint, bucket, prefix, access_key_id),"
                        " noted AS (INSERT INTO streamsight.audit (company_id, actor, action, subject_id, detail)"
                        "           SELECT company_id, 'administrator', 'bucket.set', id, jsonb_build_object("
                        "            'endpoint', endpoint, 'bucket', bucket, 'prefix', prefix,"
                        "            'access_key_id', access_key_id) FROM made)"
                        "SELECT id, endpoint, bucket, prefix FROM made",
                        parameters, ELEMENTSOF(parameters), ret);
}

int command_bucket_set(Admin *admin) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        _cleanup_free_ char *error = NULL;
        char secret[SECRET_PLAIN_MAX + 1];
        MasterKeys keys;
        int r;

        if ((r = admin_check_uuid("--company", admin->options[OPTION_COMPANY])) < 0)
                return r;
        r = settings_read_master_keys(&admin->settings, &keys, &error);
        if (r < 0)
                return admin_fail(r, "%s", error ?: "Out of memory");
        /* Before anything is locked: whoever types it takes their time. */
        r = admin_read_line("Secret access key", true, secret, sizeof(secret));
        if (r >= 0)
                r = admin_execute(admin, "BEGIN");
        if (r >= 0)
                r = store_bucket(admin, &keys, secret, &result);
        OPENSSL_cleanse(&keys, sizeof(keys));
        OPENSSL_cleanse(secret, sizeof(secret));
        if (r >= 0)
                r = admin_execute(admin, "COMMIT");
        return r < 0 ? r : admin_print_one(admin, result);
}
