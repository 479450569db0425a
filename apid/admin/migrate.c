/* SPDX-License-Identifier: Apache-2.0 */

/* "migrate": applies what is missing of apid/schema/, and makes all procedures anew, in one transaction. */

#include <string.h>

#include "admin.h"
#include "migrations.h"
#include "schema-version.h"

/* What a migration needs to be there, and a lock (an arbitrary number) against another migrate at this
 * moment. */
static const char prologue[] =
                "SELECT pg_advisory_lock(7310582290457413989);"
                "CREATE SCHEMA IF NOT EXISTS streamsight;"
                "CREATE TABLE IF NOT EXISTS streamsight.migration ("
                "    number integer PRIMARY KEY,"
                "    name text NOT NULL,"
                "    sha256 text NOT NULL,"
                "    applied_at timestamptz NOT NULL DEFAULT now())";

/* Returns how many are applied already, if they are the ones that this program knows. */
static int check_applied(Admin *admin) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        int r;

        r = admin_query(admin, "SELECT number, name, sha256 FROM streamsight.migration ORDER BY number",
                        NULL, 0, &result);
        if (r < 0)
                return r;
        int n = PQntuples(result);
        if ((size_t) n > n_migrations)
                return admin_fail(
                                EPROTO,
                                "The database is newer than this program: install the version that made it");
        for (int i = 0; i < n; i++)
                if (atoi(PQgetvalue(result, i, 0)) != migrations[i].number ||
                    strcmp(PQgetvalue(result, i, 2), migrations[i].sha256) != 0)
                        return admin_fail(
                                        EPROTO,
                                        "Migration %s was applied with another content than this program has: it is of "
                                        "another version",
                                        PQgetvalue(result, i, 1));
        return n;
}

static int apply(Admin *admin, const Migration *migration) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        char number[12];
        int r;

        snprintf(number, sizeof(number), "%i", migration->number);
        const char *const parameters[] = { number, migration->name, migration->sha256 };
        if ((r = admin_execute(admin, migration->sql)) < 0 ||
            (r = admin_query(admin,
                             "INSERT INTO streamsight.migration (number, name, sha256) VALUES ($1, $2, $3) RETURNING number",
                             parameters, ELEMENTSOF(parameters), &result)) < 0)
                return admin_fail(r, "Migration %s was not applied; the database is as it was",
                                  migration->name);
        return 0;
}

/* Whatever they were before: nobody changes them but by these files. */
static int define_procedures(Admin *admin) {
        int r;

        for (size_t i = 0; i < n_procedures; i++) {
                r = admin_execute(admin, procedures[i].sql);
                if (r < 0)
                        return admin_fail(r, "The procedures of %s were not made; the database is as it was",
                                          procedures[i].name);
        }
        return admin_execute(admin, "COMMENT ON SCHEMA api IS '" SCHEMA_PROCEDURES "'");
}

int command_migrate(Admin *admin) {
        int r;

        r = admin_execute(admin, prologue);
        if (r < 0)
                return r;
        int applied = check_applied(admin);
        if (applied < 0)
                return applied;
        /* Whoever waits to have a table to themselves, as while it is being dumped, keeps everybody who
         * comes after them waiting: for less than apid waits itself. */
        r = admin_execute(admin, "BEGIN; SET LOCAL lock_timeout = '5s'");
        for (size_t i = (size_t) applied; r >= 0 && i < n_migrations; i++)
                r = apply(admin, &migrations[i]);
        if (r < 0 || (r = define_procedures(admin)) < 0 || (r = admin_execute(admin, "COMMIT")) < 0)
                return r;
        printf(admin->json ? "{\"applied\": %zu, \"schema\": %i}\n"
                           : "%zu migrations applied; the schema is at %i\n",
               n_migrations - (size_t) applied, SCHEMA_NUMBER);
        return 0;
}
