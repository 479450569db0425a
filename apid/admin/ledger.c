/* SPDX-License-Identifier: Apache-2.0 */

/* "ledger detach": the months that nobody asks for any more. */

#include "admin.h"
#include "value.h"

int command_ledger_detach(Admin *admin) {
        const char *before = admin->options[OPTION_BEFORE];
        const char *const parameters[] = { before };
        _cleanup_(PQclearp) PGresult *result = NULL;
        char day[32];
        int r;

        /* The beginning of a day is a time that can be checked. */
        if (snprintf(day, sizeof(day), "%sT00:00:00Z", before) >= (int) sizeof(day) || !value_is_time(day))
                return admin_fail(EINVAL, "--before must be a day like 2030-01-31, not \"%s\"", before);
        r = admin_query(admin, "SELECT * FROM streamsight.detach_ledgers($1) AS detached", parameters,
                        ELEMENTSOF(parameters), &result);
        return r < 0 ? r : admin_print_table(admin, result);
}
