/* SPDX-License-Identifier: Apache-2.0 */

/* "audit verify": computes the chain of hashes again, here and not in the database. */

#include <openssl/evp.h>
#include <string.h>

#include "admin.h"
#include "value.h"

#define BATCH "1000"

typedef struct Chain {
        uint8_t head[32];
        uint64_t rows;      /* the last one's number */
        uint64_t known_row; /* 0: none, or seen */
        char known_hash[65];
} Chain;

/* A row that was told before is still what it was. */
static int check_known(Chain *chain, const char *company) {
        char hex[65];

        if (chain->known_row == 0 || chain->rows != chain->known_row)
                return 0;
        chain->known_row = 0;
        value_format_hex(chain->head, sizeof(chain->head), hex);
        if (strcmp(hex, chain->known_hash) == 0)
                return 0;
        return admin_fail(
                        EBADMSG,
                        "The audit trail of company %s is not the one that was known: row %lu has another hash",
                        company, (unsigned long) chain->rows);
}

/* 1: there are more. */
static int verify_batch(Admin *admin, const char *company, const char *after, Chain *chain,
                        char ret_after[static 24]) {
        const char *const parameters[] = { company, after };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = admin_query(admin,
                        "SELECT id, json_build_array(company_id, id, streamsight.rfc3339(at), actor, actor_id, action, subject_id,"
                        " address, detail)::text, encode(sha256, 'hex'), streamsight.rfc3339(at)"
                        " FROM streamsight.audit WHERE company_id = $1 AND id > $2 ORDER BY id LIMIT " BATCH,
                        parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        for (int i = 0; i < PQntuples(result); i++) {
                const char *content = PQgetvalue(result, i, 1);
                _cleanup_free_ uint8_t *text = malloc(sizeof(chain->head) + strlen(content));
                char hex[65], wanted[24];

                snprintf(wanted, sizeof(wanted), "%lu", (unsigned long) chain->rows + 1);
                if (strcmp(PQgetvalue(result, i, 0), wanted) != 0)
                        return admin_fail(EBADMSG,
                                          "The audit trail of company %s is broken: row %s is missing",
                                          company, wanted);
                if (!text)
                        return admin_fail(ENOMEM, "Out of memory");
                memcpy(text, chain->head, sizeof(chain->head));
                memcpy(text + sizeof(chain->head), content, strlen(content));
                if (EVP_Digest(text, sizeof(chain->head) + strlen(content), chain->head, NULL, EVP_sha256(),
                               NULL) != 1)
                        return admin_fail(EIO, "Hashing failed");
                value_format_hex(chain->head, sizeof(chain->head), hex);
                if (strcmp(hex, PQgetvalue(result, i, 2)) != 0)
                        return admin_fail(
                                        EBADMSG,
                                        "The audit trail of company %s is broken: row %s of %s is not as it was written",
                                        company, wanted, PQgetvalue(result, i, 3));
                chain->rows++;
                if ((r = check_known(chain, company)) < 0)
                        return r;
        }
        if (PQntuples(result) > 0)
                snprintf(ret_after, 24, "%s", PQgetvalue(result, PQntuples(result) - 1, 0));
        return PQntuples(result) > 0;
}

/* The end as the database knows it: without its last rows a chain is still one. */
static int check_end(Admin *admin, const char *company, const Chain *chain, const char *id,
                     const char *hash) {
        char rows[24], hex[65];

        snprintf(rows, sizeof(rows), "%lu", (unsigned long) chain->rows);
        value_format_hex(chain->head, sizeof(chain->head), hex);
        if (strcmp(rows, id) != 0 || strcmp(hex, hash) != 0)
                return admin_fail(
                                EBADMSG,
                                "The audit trail of company %s is broken: it ends at row %s and should at %s",
                                company, rows, id);
        if (chain->known_row > 0)
                return admin_fail(EBADMSG, "Row %lu of company %s's audit trail is %s",
                                  (unsigned long) chain->known_row, company,
                                  chain->known_row > chain->rows ? "missing"
                                                                 : "detached, and cannot be checked here");
        if (admin->json)
                printf("{\"company_id\": \"%s\", \"rows\": %s, \"sha256\": \"%s\"}\n", company, rows, hex);
        else
                printf("%s  %s:%s\n", company, rows, hex);
        return 0;
}

/* "ROW:HASH" */
static int read_known(Admin *admin, Chain *ret) {
        const char *text = admin->options[OPTION_KNOWN], *colon = strchr(text, ':');
        char row[24] = "";

        if (colon && (size_t) (colon - text) < sizeof(row))
                memcpy(row, text, (size_t) (colon - text));
        if (!admin->options[OPTION_COMPANY])
                return admin_fail(EINVAL, "--known is of one company: say which with --company");
        if (!colon || !value_is_sha256(colon + 1) || value_parse_uint(row, INT64_MAX, &ret->known_row) < 0 ||
            ret->known_row == 0)
                return admin_fail(EINVAL, "--known must be ROW:HASH as audit verify prints them, not \"%s\"",
                                  text);
        strcpy(ret->known_hash, colon + 1);
        return 0;
}

int command_audit_verify(Admin *admin) {
        const char *const parameters[] = { admin->options[OPTION_COMPANY] };
        _cleanup_(PQclearp) PGresult *companies = NULL;
        Chain known = {};
        int r, worst = 0;

        if (parameters[0] && (r = admin_check_uuid("--company", parameters[0])) < 0)
                return r;
        if (admin->options[OPTION_KNOWN] && (r = read_known(admin, &known)) < 0)
                return r;
        /* One moment's view of all of it. */
        r = admin_execute(admin, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        if (r >= 0)
                r = admin_query(admin,
                                "SELECT c.id, coalesce(h.id, 0), encode(coalesce(h.sha256, decode(repeat('00', 32), 'hex')), 'hex'),"
                                " coalesce(d.id, 0), encode(coalesce(d.sha256, decode(repeat('00', 32), 'hex')), 'hex')"
                                " FROM streamsight.company c LEFT JOIN streamsight.audit_head h ON h.company_id = c.id"
                                " LEFT JOIN streamsight.audit_detached d ON d.company_id = c.id"
                                " WHERE $1::uuid IS NULL OR c.id = $1 ORDER BY c.id",
                                parameters, ELEMENTSOF(parameters), &companies);
        if (r < 0)
                return r;
        for (int i = 0; i < PQntuples(companies); i++) {
                const char *company = PQgetvalue(companies, i, 0);
                Chain chain = known;
                char after[24];

                /* What was detached is not here; the rest continues its last hash. */
                snprintf(after, sizeof(after), "%s", PQgetvalue(companies, i, 3));
                chain.rows = strtoull(after, NULL, 10);
                value_parse_sha256(PQgetvalue(companies, i, 4), chain.head);
                r = check_known(&chain, company);
                while (r >= 0 && (r = verify_batch(admin, company, after, &chain, after)) > 0)
                        ;
                if (r >= 0)
                        r = check_end(admin, company, &chain, PQgetvalue(companies, i, 1),
                                      PQgetvalue(companies, i, 2));
                worst = r < 0 ? r : worst;
        }
        return worst;
}
