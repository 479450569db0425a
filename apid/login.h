/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What login.c and enrolment.c share. */

#include "database.h"

/* A column of type bytea; -EIO if it does not have this size. */
int database_bytes(const PGresult *result, const char *column, void *ret, size_t size) _must_check_;

/* The derived password as a bytea, the request's own; NULL: out of memory, or iterations out of range. Slow.
 */
const char *password_parameter(Request *request, const char *password, const uint8_t *salt, size_t salt_size,
                               uint64_t iterations);

/* A password's new salt, iterations and derived bytes as parameters; company_salt has PASSWORD_SALT_SIZE
 * bytes. Slow. */
int password_renew(Request *request, const char *password, const uint8_t *company_salt,
                   const char *ret[static 3]) _must_check_;

/* Answers with a problem; with PROBLEM_LOGIN_LOCKED and "Retry-After" if there are seconds to wait. */
int login_refuse(Request *request, Problem problem, const char *retry_after);

/* The pad of the TOTP secret of a result's account_id, totp_nonce and totp_key_id, as a bytea, and whose it
 * is. */
int account_pad(Request *request, const PGresult *result, const char **ret_pad,
                const char **ret_account) _must_check_;

/* The same for the account that a challenge (of purpose "login" or "enrol") is about. */
int challenge_pad(Request *request, const char *challenge, const char *purpose, const char **ret_pad,
                  const char **ret_account) _must_check_;
