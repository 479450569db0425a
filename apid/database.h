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

/* The same for a procedure that does, or says, the same when it is called again: it is, if the database goes
 * away in the middle. With the other one that is a 503 which says that nobody knows; only what the database
 * has rolled back, or was never sent, is tried again. */
int database_call_repeatable(Request *request, const char *function, const char *const *parameters,
                             size_t n_parameters, PGresult **ret) _must_check_;

/* The rows of a procedure that is repeatable. Failures are not answered. */
int database_rows(const Context *context, const char *function, const char *const *parameters,
                  size_t n_parameters, PGresult **ret) _must_check_;

/* The database's tables and procedures beside those of this version: older (also none at all) < 0, the same
 * 0, newer > 0. */
int database_compare_schema(const Context *context, int *ret) _must_check_;

/* api.maintain(), with this thread's connection. Failures are logged. */
int database_maintain(const Context *context) _must_check_;

/* A column of the one row, or of one of them; "" if NULL. */
const char *database_text(const PGresult *result, const char *column);
const char *database_text_at(const PGresult *result, int row, const char *column);
