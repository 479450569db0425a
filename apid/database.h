/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Calls of the procedures in schema api, the only thing that apid's role may do. Each thread has a
 * connection of its own, made when it first needs one and again when it is lost. */

#include <libpq-fe.h>

#include "request.h"

DEFINE_CLEANUP(PGresult *, PQclearp, PQclear)

/* SELECT * FROM api.function(parameters…), prepared once per connection. A parameter may be NULL. *ret has
 * exactly one row and is the caller's. An error is answered (see Handler): one that the procedure raised as
 * its problem, a lost database as 503. */
int database_call(Request *request, const char *function, const char *const *parameters, size_t n_parameters,
                  PGresult **ret) _must_check_;

/* api.maintain(), with this thread's connection. Failures are logged. */
int database_maintain(const Context *context) _must_check_;

/* A column of the one row; "" if NULL. */
const char *database_text(const PGresult *result, const char *column);
