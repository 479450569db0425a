/* SPDX-License-Identifier: Apache-2.0 */

/* "master-key rotate": what lies in the database under an old master key, put under the new one. */

#include <openssl/crypto.h>
#include <string.h>

#include "admin.h"
#include "totp.h"
#include "value.h"

static void format_bytea(const uint8_t *data, size_t size, char *ret) {
        strcpy(ret, "\\x");
        value_format_hex(data, size, ret + 2);
}

static int rotate_bucket(Admin *admin, const MasterKeys *keys, const PGresult *buckets, int row) {
        const char *company = PQgetvalue(buckets, row, 0), *id = PQgetvalue(buckets, row, 1);
        _cleanup_(PQclearp) PGresult *result = NULL;
        char plain[SECRET_PLAIN_MAX + 1], text[2 * SECRET_STORED_MAX + 3];
        uint8_t sealed[SECRET_STORED_MAX];
        size_t size;
        int r;

        unsigned char *stored = PQunescapeBytea((const unsigned char *) PQgetvalue(buckets, row, 2), &size);
        if (!stored)
                return admin_fail(ENOMEM, "Out of memory");
        bool current = secret_is_current(keys, stored, size);
        r = current ? 0 : secret_open(keys, id, stored, size, plain);
        PQfreemem(stored);
        if (current)
                return 0;
        if (r < 0)
                return admin_fail(r, "The secret key of bucket %s is under none of the master keys", id);
        r = secret_seal(keys, id, plain, sealed, &size);
        OPENSSL_cleanse(plain, sizeof(plain));
        if (r < 0)
                return admin_fail(r, "Encrypting the secret key of bucket %s failed", id);
        format_bytea(sealed, size, text);
        const char *const parameters[] = { company, id, text };
        r = admin_query(admin,
                        "UPDATE streamsight.bucket SET secret = $3 WHERE company_id = $1 AND id = $2 RETURNING id",
                        parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : 1;
}

/* The secret is masked with one pad: XORed with the difference of the old and the new one, it is masked with
 * the new, and nobody has seen it. */
static int rotate_account(Admin *admin, const MasterKeys *keys, const char *new_id, const PGresult *accounts,
                          int row) {
        const char *account = PQgetvalue(accounts, row, 1), *old_id = NULL;
        uint8_t nonce[TOTP_NONCE_SIZE], id[MASTER_KEY_ID_SIZE], pad[TOTP_SECRET_SIZE],
                        delta[TOTP_SECRET_SIZE];
        char text[2 * TOTP_SECRET_SIZE + 3];
        _cleanup_(PQclearp) PGresult *result = NULL;
        const uint8_t *old;
        int r;

        if (value_parse_bytea(PQgetvalue(accounts, row, 2), nonce, sizeof(nonce)) < 0)
                return admin_fail(EIO, "The nonce of account %s is malformed", account);
        if (PQgetisnull(accounts, row, 3))
                old = master_keys_find(keys, NULL);
        else {
                old_id = PQgetvalue(accounts, row, 3);
                old = value_parse_bytea(old_id, id, sizeof(id)) >= 0 ? master_keys_find(keys, id) : NULL;
        }
        if (!old)
                return admin_fail(ENOKEY, "The authenticator of account %s is under none of the master keys",
                                  account);
        if ((r = totp_pad(old, account, nonce, delta)) < 0 ||
            (r = totp_pad(keys->keys[0], account, nonce, pad)) < 0)
                return admin_fail(r, "Deriving failed");
        for (size_t i = 0; i < sizeof(delta); i++)
                delta[i] ^= pad[i];
        OPENSSL_cleanse(pad, sizeof(pad));
        format_bytea(delta, sizeof(delta), text);
        OPENSSL_cleanse(delta, sizeof(delta));
        const char *const parameters[] = {
                PQgetvalue(accounts, row, 0), account, PQgetvalue(accounts, row, 2), old_id, new_id, text
        };
        r = admin_query(admin, "SELECT streamsight.mask_anew($1, $2, $3, $4, $5, $6)", parameters,
                        ELEMENTSOF(parameters), &result);
        OPENSSL_cleanse(text, sizeof(text));
        return r < 0 ? r : strcmp(PQgetvalue(result, 0, 0), "t") == 0;
}

static int rotate(Admin *admin, const MasterKeys *keys) {
        _cleanup_(PQclearp) PGresult *buckets = NULL, *accounts = NULL, *noted = NULL;
        uint8_t id[MASTER_KEY_ID_SIZE];
        char new_id[2 * sizeof(id) + 3];
        int n_buckets = 0, n_accounts = 0, r;

        r = master_key_id(keys->keys[0], id);
        if (r < 0)
                return admin_fail(r, "Hashing failed");
        format_bytea(id, sizeof(id), new_id);
        const char *const wanted[] = { new_id };
        if ((r = admin_query(admin,
                             "SELECT company_id, id, secret FROM streamsight.bucket ORDER BY company_id, id FOR NO KEY UPDATE",
                             NULL, 0, &buckets)) < 0 ||
            (r = admin_query(admin,
                             "SELECT company_id, id, totp_nonce, totp_key_id FROM streamsight.account"
                             " WHERE totp_nonce IS NOT NULL AND totp_key_id IS DISTINCT FROM $1 ORDER BY company_id, id",
                             wanted, 1, &accounts)) < 0)
                return r;
        for (int row = 0; row < PQntuples(buckets); row++, n_buckets += r)
                if ((r = rotate_bucket(admin, keys, buckets, row)) < 0)
                        return r;
        for (int row = 0; row < PQntuples(accounts); row++, n_accounts += r)
                if ((r = rotate_account(admin, keys, new_id, accounts, row)) < 0)
                        return r;
        r = admin_query(admin,
                        "INSERT INTO streamsight.audit (company_id, actor, action, subject_id)"
                        " SELECT id, 'administrator', 'master_key.rotate', id FROM streamsight.company ORDER BY id"
                        " RETURNING id",
                        NULL, 0, &noted);
        if (r < 0 || (r = admin_execute(admin, "COMMIT")) < 0)
                return r;
        printf(admin->json ? "{\"buckets\": %i, \"authenticators\": %i}\n"
                           : "%i buckets and %i authenticators are under the first key now\n",
               n_buckets, n_accounts);
        return 0;
}

int command_master_key_rotate(Admin *admin) {
        _cleanup_free_ char *error = NULL;
        MasterKeys keys;
        int r;

        r = settings_read_master_keys(&admin->settings, &keys, &error);
        if (r < 0)
                return admin_fail(r, "%s", error ?: "Out of memory");
        r = admin_execute(admin, "BEGIN");
        if (r >= 0)
                r = rotate(admin, &keys);
        OPENSSL_cleanse(&keys, sizeof(keys));
        return r;
}
