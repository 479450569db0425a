/* SPDX-License-Identifier: Apache-2.0 */

/* Those who log in. A company's first owner is made here; the others can be made through the API. */

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "admin.h"
#include "code.h"
#include "password.h"
#include "qr.h"
#include "totp.h"
#include "value.h"

#define TTL_MAX           (UINT64_C(30) * 24 * 60 * 60)
#define TTL_DEFAULT       "259200"
#define INVITATION_GROUPS 6 /* 118 bits */
#define RECOVERY_CODES    10
#define RECOVERY_GROUPS   4

static int make_invitation(Admin *admin, char *ret_code, char *ret_plain) {
        const char *ttl = admin->options[OPTION_TTL] ?: TTL_DEFAULT;
        int r;

        r = admin_check_uint("--ttl", ttl, TTL_MAX);
        if (r < 0)
                return r;
        return code_make(INVITATION_GROUPS, ret_code, ret_plain) < 0
                               ? admin_fail(EIO, "There is no randomness")
                               : 0;
}

int command_user_create(Admin *admin) {
        char code[CODE_SIZE(INVITATION_GROUPS)], plain[CODE_PLAIN(INVITATION_GROUPS)];
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        if ((r = admin_check_uuid("--company", admin->options[OPTION_COMPANY])) < 0 ||
            (r = make_invitation(admin, code, plain)) < 0)
                return r;
        const char *const parameters[] = { admin->options[OPTION_COMPANY],
                                           admin->options[OPTION_EMAIL],
                                           admin->argument,
                                           admin->options[OPTION_ROLE],
                                           code,
                                           plain,
                                           admin->options[OPTION_TTL] ?: TTL_DEFAULT };
        r = admin_query(admin,
                        "WITH made AS (INSERT INTO streamsight.account (company_id, email, email_sha256, name, role)"
                        " VALUES ($1, lower($2), sha256(convert_to(lower($2), 'UTF8')), $3, $4)"
                        "  RETURNING id, company_id, email, role),"
                        " invited AS (INSERT INTO streamsight.invitation (token_sha256, company_id, account_id, expires_at)"
                        "  SELECT sha256(convert_to($6, 'UTF8')), company_id, id, now() + $7::bigint * interval '1 second'"
                        "  FROM made),"
                        " noted AS (INSERT INTO streamsight.audit (company_id, actor, action, subject_id, detail)"
                        "  SELECT company_id, 'administrator', 'user.create', id, jsonb_build_object('role', role) FROM made)"
                        "SELECT $5::text AS invitation, id, company_id, email, role FROM made",
                        parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : admin_print_one(admin, result);
}

int command_user_invite(Admin *admin) {
        char code[CODE_SIZE(INVITATION_GROUPS)], plain[CODE_PLAIN(INVITATION_GROUPS)];
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        if ((r = admin_check_uuid("ID", admin->argument)) < 0 ||
            (r = make_invitation(admin, code, plain)) < 0)
                return r;
        const char *const parameters[] = { admin->argument, code, plain,
                                           admin->options[OPTION_TTL] ?: TTL_DEFAULT };
        r = admin_query(admin,
                        "SELECT $2::text AS invitation, a.id, a.company_id, a.email, a.role FROM streamsight.account a,"
                        " streamsight.invite_as_administrator(a.company_id, a.id, $3, $4::bigint * interval '1 second')"
                        " WHERE a.id = $1",
                        parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (PQntuples(result) == 0)
                return admin_fail(ENOENT, "There is no user %s", admin->argument);
        return admin_print_one(admin, result);
}

int command_user_disable(Admin *admin) {
        const char *const parameters[] = { admin->argument };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        if ((r = admin_check_uuid("ID", admin->argument)) < 0)
                return r;
        r = admin_query(admin,
                        "SELECT a.id, a.company_id, a.email FROM streamsight.account a,"
                        " streamsight.disable_as_administrator(a.company_id, a.id) WHERE a.id = $1",
                        parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (PQntuples(result) == 0)
                return admin_fail(ENOENT, "There is no user %s", admin->argument);
        return admin_print_one(admin, result);
}

int command_user_list(Admin *admin) {
        const char *const parameters[] = { admin->options[OPTION_COMPANY] };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        if (parameters[0] && (r = admin_check_uuid("--company", parameters[0])) < 0)
                return r;
        r = admin_query(admin,
                        "SELECT id, company_id, email, name, role, state, streamsight.rfc3339(created_at) AS created_at"
                        " FROM streamsight.account WHERE $1::uuid IS NULL OR company_id = $1 ORDER BY created_at, id",
                        parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : admin_print_table(admin, result);
}

static int column_bytes(const PGresult *result, const char *column, uint8_t *ret, size_t size) {
        size_t n;
        unsigned char *bytes = PQunescapeBytea(
                        (const unsigned char *) PQgetvalue(result, 0, PQfnumber(result, column)), &n);

        if (bytes && n == size)
                memcpy(ret, bytes, size);
        PQfreemem(bytes);
        return bytes && n == size ? 0 : admin_fail(EIO, "The database has a %s of another size", column);
}

static void format_bytea(const uint8_t *data, size_t size, char *ret) {
        strcpy(ret, "\\x");
        value_format_hex(data, size, ret + 2);
}

typedef struct Enrolment {
        char invitation[64];
        char password[PASSWORD_MAX + 1];
        uint8_t salt[2 * PASSWORD_SALT_SIZE], derived[PASSWORD_DERIVED_SIZE];
        uint8_t secret[TOTP_SECRET_SIZE], pad[TOTP_SECRET_SIZE], masked[TOTP_SECRET_SIZE],
                        nonce[TOTP_NONCE_SIZE];
        char challenge[CODE_PLAIN(8) + 32], email[255];
} Enrolment;

static void enrolment_done(Enrolment *enrolment) {
        OPENSSL_cleanse(enrolment, sizeof(*enrolment));
}

/* What the API's POST /v1/auth/invitation does, by the same procedures. */
static int accept(Admin *admin, const uint8_t master_key[static MASTER_KEY_SIZE], Enrolment *e) {
        _cleanup_(PQclearp) PGresult *guest = NULL, *result = NULL;
        char code[CODE_SIZE(8)], plain[CODE_PLAIN(8)];
        char iterations[24], salt[3 + 2 * PASSWORD_SALT_SIZE], derived[3 + 2 * PASSWORD_DERIVED_SIZE],
                        masked[3 + 2 * TOTP_SECRET_SIZE], nonce[3 + 2 * TOTP_NONCE_SIZE],
                        key_id[3 + 2 * MASTER_KEY_ID_SIZE];
        uint8_t id[MASTER_KEY_ID_SIZE];
        const char *const who[] = { e->invitation };
        int r;

        if ((r = admin_query(admin, "SELECT * FROM api.invitation_parameters($1)", who, 1, &guest)) < 0 ||
            (r = column_bytes(guest, "company_salt", e->salt, PASSWORD_SALT_SIZE)) < 0)
                return r;
        const char *account = PQgetvalue(guest, 0, PQfnumber(guest, "account_id"));
        snprintf(e->email, sizeof(e->email), "%s", PQgetvalue(guest, 0, PQfnumber(guest, "email")));
        if (RAND_bytes(e->salt + PASSWORD_SALT_SIZE, PASSWORD_SALT_SIZE) != 1 ||
            RAND_priv_bytes(e->secret, sizeof(e->secret)) != 1 ||
            RAND_bytes(e->nonce, sizeof(e->nonce)) != 1 || code_make(8, code, plain) < 0)
                return admin_fail(EIO, "There is no randomness");
        snprintf(e->challenge, sizeof(e->challenge), "ssc_administrator_%s", plain);
        if (password_derive(e->password, e->salt, sizeof(e->salt), admin->settings.password_iterations,
                            e->derived) < 0 ||
            totp_pad(master_key, account, e->nonce, e->pad) < 0 || master_key_id(master_key, id) < 0)
                return admin_fail(EIO, "Deriving failed");
        for (size_t i = 0; i < sizeof(e->masked); i++)
                e->masked[i] = e->secret[i] ^ e->pad[i];
        snprintf(iterations, sizeof(iterations), "%lu", (unsigned long) admin->settings.password_iterations);
        format_bytea(e->salt + PASSWORD_SALT_SIZE, PASSWORD_SALT_SIZE, salt);
        format_bytea(e->derived, sizeof(e->derived), derived);
        format_bytea(e->masked, sizeof(e->masked), masked);
        format_bytea(e->nonce, sizeof(e->nonce), nonce);
        format_bytea(id, sizeof(id), key_id);
        const char *const parameters[] = { e->invitation, salt,  iterations,   derived,
                                           masked,        nonce, e->challenge, key_id };
        return admin_query(admin, "SELECT api.accept_invitation($1, $2, $3, $4, $5, $6, $7, $8)", parameters,
                           ELEMENTSOF(parameters), &result);
}

static int show_secret(const Enrolment *e) {
        char base32[TOTP_BASE32_SIZE];
        _cleanup_free_ char *uri = NULL, *picture = NULL;

        totp_base32(e->secret, base32);
        if (totp_uri(e->email, base32, &uri) < 0 || qr_terminal(uri, &picture) < 0)
                return admin_fail(ENOMEM, "Out of memory");
        printf("%s\nScan this with an authenticator app, or type the secret into it: %s\n%s\n", picture,
               base32, uri);
        fflush(stdout);
        return 0;
}

static int confirm(Admin *admin, Enrolment *e) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        char codes[RECOVERY_CODES][CODE_SIZE(RECOVERY_GROUPS)],
                        all[RECOVERY_CODES * CODE_PLAIN(RECOVERY_GROUPS)] = "";
        char plain[CODE_PLAIN(RECOVERY_GROUPS)], pad[3 + 2 * TOTP_SECRET_SIZE], code[7];
        int r;

        r = admin_read_line("Code that the app shows", false, code, sizeof(code));
        if (r < 0)
                return r;
        for (int i = 0; i < RECOVERY_CODES; i++) {
                if (code_make(RECOVERY_GROUPS, codes[i], plain) < 0)
                        return admin_fail(EIO, "There is no randomness");
                strcat(all, i > 0 ? " " : "");
                strcat(all, plain);
        }
        format_bytea(e->pad, sizeof(e->pad), pad);
        const char *const parameters[] = { e->challenge, code, pad, all };
        r = admin_query(admin, "SELECT api.confirm_totp($1, $2, $3, $4, NULL)", parameters,
                        ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (strcmp(PQgetvalue(result, 0, 0), "t") != 0)
                return admin_fail(
                                EACCES,
                                "That is not the code of this moment: begin again with the same invitation");
        puts("Recovery codes, each good once in place of a code. Keep them somewhere safe:");
        for (int i = 0; i < RECOVERY_CODES; i++)
                puts(codes[i]);
        return 0;
}

int command_user_accept(Admin *admin) {
        _cleanup_(enrolment_done) Enrolment e = {};
        MasterKeys keys;
        _cleanup_free_ char *error = NULL;
        int r;

        if ((r = admin_read_line("Invitation", true, e.invitation, sizeof(e.invitation))) < 0 ||
            (r = admin_read_line("Password", true, e.password, sizeof(e.password))) < 0)
                return r;
        if (strlen(e.password) < PASSWORD_MIN)
                return admin_fail(EINVAL, "The password must have at least %u bytes", PASSWORD_MIN);
        code_normalise(e.invitation);
        r = settings_read_master_keys(&admin->settings, &keys, &error);
        if (r < 0)
                return admin_fail(r, "%s", error ?: "Out of memory");
        r = accept(admin, keys.keys[0], &e);
        OPENSSL_cleanse(&keys, sizeof(keys));
        if (r >= 0)
                r = show_secret(&e);
        return r < 0 ? r : confirm(admin, &e);
}
