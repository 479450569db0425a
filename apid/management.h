/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What people manage is in the database's procedures; here is a table of which request calls which, with
 * what. */

#include "request.h"

#define OPERATION_FIELDS_MAX 10U

typedef enum OperationSecret {
        SECRET_NONE,
        SECRET_INVITATION,     /* shown as "invitation" */
        SECRET_ENROLMENT_CODE, /* shown as "code" */
} OperationSecret;

/* The procedure is called with: the token, the values of the path, the fields, the secret without its
 * dashes, the client's address if something changes, the hashes of Idempotency-Key and request, and the
 * nonce that the secret is derived from; each but the first only if there is such. What it returns is the
 * answer's JSON, with the "nonce" of the secret to show. */
struct Operation {
        const char *procedure;
        Field fields[OPERATION_FIELDS_MAX];
        OperationSecret secret;
        unsigned status; /* 0: 200; 204: nothing is shown */
        bool changes;
        bool idempotent;    /* an Idempotency-Key counts */
        bool ends_sessions; /* what it returns are hashes for session_forget() */
};

extern const Route management_routes[];
extern const size_t n_management_routes;
