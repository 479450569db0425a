/* SPDX-License-Identifier: Apache-2.0 */

/* Who may join and look on, and what there is. */

#include "admin.h"
#include "code.h"

#define TTL_MAX     (UINT64_C(400) * 24 * 60 * 60)
#define CODE_GROUPS 5 /* 99 bits */

int command_enrolment_code_create(Admin *admin) {
        const char *company = admin->options[OPTION_COMPANY], *ttl = admin->options[OPTION_TTL] ?: "86400";
        char code[CODE_SIZE(CODE_GROUPS)], plain[CODE_PLAIN(CODE_GROUPS)];
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        if ((r = admin_check_uuid("--company", company)) < 0 ||
            (r = admin_check_uint("--ttl", ttl, TTL_MAX)) < 0)
                return r;
        if (code_make(CODE_GROUPS, code, plain) < 0)
                return admin_fail(EIO, "There is no randomness");
        const char *const parameters[] = { company, code, plain, ttl };
        r = admin_query(admin,
                        "WITH made AS (INSERT INTO streamsight.enrolment_code (company_id, code_sha256, expires_at)"
                        " VALUES ($1, sha256(convert_to($3, 'UTF8')), now() + $4::bigint * interval '1 second')"
                        " RETURNING company_id, id, expires_at),"
                        " noted AS (INSERT INTO streamsight.audit (company_id, actor, action, subject_id, detail)"
                        "           SELECT company_id, 'administrator', 'enrolment_code.create', id,"
                        "            jsonb_build_object('expires_at', streamsight.rfc3339(expires_at)) FROM made)"
                        "SELECT $2::text AS code, company_id, streamsight.rfc3339(expires_at) AS expires_at FROM made",
                        parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : admin_print_one(admin, result);
}

static int list(Admin *admin, const char *sql) {
        const char *const parameters[] = { admin->options[OPTION_COMPANY] };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        if (parameters[0] && (r = admin_check_uuid("--company", parameters[0])) < 0)
                return r;
        r = admin_query(admin, sql, parameters, ELEMENTSOF(parameters), &result);
        return r < 0 ? r : admin_print_table(admin, result);
}

int command_device_list(Admin *admin) {
        return list(admin,
                    "SELECT d.id, d.company_id, c.name AS company, d.hostname,"
                    " streamsight.rfc3339(d.created_at) AS created_at,"
                    " CASE WHEN d.revoked_at IS NULL THEN 'active' ELSE 'revoked' END AS state"
                    " FROM streamsight.device d JOIN streamsight.company c ON c.id = d.company_id"
                    " WHERE $1::uuid IS NULL OR d.company_id = $1 ORDER BY d.created_at, d.id");
}

int command_recording_list(Admin *admin) {
        return list(admin,
                    "SELECT r.id, r.company_id, r.device_id, r.hostname,"
                    " streamsight.rfc3339(r.started_at) AS started_at, streamsight.rfc3339(r.ended_at) AS ended_at,"
                    " count(s.completed_at) AS segments,"
                    " coalesce(sum(s.size) FILTER (WHERE s.completed_at IS NOT NULL), 0) AS bytes,"
                    " CASE WHEN r.finished_at IS NULL THEN 'open' ELSE 'finished' END AS state"
                    " FROM streamsight.recording r LEFT JOIN streamsight.segment s"
                    "  ON s.company_id = r.company_id AND s.recording_id = r.id AND s.recording_created_at = r.created_at"
                    " WHERE $1::uuid IS NULL OR r.company_id = $1"
                    " GROUP BY r.company_id, r.id, r.created_at ORDER BY r.started_at DESC, r.id LIMIT 1000");
}

int command_recording_statement(Admin *admin) {
        const char *const parameters[] = { admin->argument };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = admin_check_uuid("A recording's id", admin->argument);
        if (r >= 0)
                r = admin_query(admin,
                                "SELECT statement FROM streamsight.recording WHERE id = $1 AND statement IS NOT NULL",
                                parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        /* The id is the device's choice, so that two companies may have the same. */
        if (PQntuples(result) == 0)
                return admin_fail(ENOENT, "No device has stated the end of a recording %s", admin->argument);
        for (int i = 0; i < PQntuples(result); i++)
                puts(PQgetvalue(result, i, 0));
        return 0;
}

int command_device_revoke(Admin *admin) {
        const char *const parameters[] = { admin->argument };
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        if ((r = admin_check_uuid("ID", admin->argument)) < 0)
                return r;
        r = admin_query(admin,
                        "WITH revoked AS (UPDATE streamsight.device SET revoked_at = coalesce(revoked_at, now())"
                        " WHERE id = $1 RETURNING id, company_id, hostname),"
                        " noted AS (INSERT INTO streamsight.audit (company_id, actor, action, subject_id)"
                        "           SELECT company_id, 'administrator', 'device.revoke', id FROM revoked)"
                        "SELECT id, company_id, hostname FROM revoked",
                        parameters, ELEMENTSOF(parameters), &result);
        if (r < 0)
                return r;
        if (PQntuples(result) == 0)
                return admin_fail(ENOENT, "There is no device %s", admin->argument);
        return admin_print_one(admin, result);
}
