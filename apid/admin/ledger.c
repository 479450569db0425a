/* SPDX-License-Identifier: Apache-2.0 */

/* "ledger detach": the months that nobody asks for any more. */

#include "admin.h"
#include "value.h"

int command_ledger_detach(Admin *admin) {
        const char *before = admin->options[OPTION_BEFORE];
        const char *const parameters[] = { before };
        _cleanup_(PQclearp) PGresult *result = NULL, *noted = NULL;
        char day[32];
        int r;

        /* The beginning of a day is a time that can be checked. */
        if (snprintf(day, sizeof(day), "%sT00:00:00Z", before) >= (int) sizeof(day) || !value_is_time(day))
                return admin_fail(EINVAL, "--before must be a day like 2030-01-31, not \"%s\"", before);
        if ((r = admin_execute(admin, "BEGIN")) < 0 ||
            (r = admin_query(admin, "SELECT * FROM streamsight.detach_ledgers($1) AS detached", parameters,
                             ELEMENTSOF(parameters), &result)) < 0)
                return r;
        if (PQntuples(result) > 0)
                r = admin_query(admin,
                                "INSERT INTO streamsight.audit (company_id, actor, action, subject_id, detail)"
                                " SELECT id, 'administrator', 'ledger.detach', id, jsonb_build_object('before', $1::text)"
                                " FROM streamsight.company ORDER BY id RETURNING id",
                                parameters, ELEMENTSOF(parameters), &noted);
        if (r >= 0)
                r = admin_execute(admin, "COMMIT");
        return r < 0 ? r : admin_print_table(admin, result);
}
