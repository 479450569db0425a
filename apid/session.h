/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sessions of people: a random token, which is in three places. The browser has it in a cookie, within a JWT
 * that we signed; Redis has its hash for as long as it is used; the database has its hash and decides what
 * it may do. */

#include "request.h"

#define SESSION_COOKIE "__Host-streamsight"

/* For routes of AUTH_USER, before anything else: takes the token out of the cookie or out of "Authorization:
 * Bearer", checks signature and age, that a cookie comes from our own page (CSRF), and that Redis knows it;
 * that also lets it live for another while. Sets request->token and request->account. An error is answered.
 */
int session_authenticate(Request *request) _must_check_;

/* For requests that a page makes before there is a session: refuses one that another site's page makes. */
int session_check_origin(Request *request) _must_check_;

/* After the database has made the session: lets Redis know of it and adds the cookie to the answer, which is
 * there already. expires: in seconds since 1970. */
int session_begin(Request *request, const char *token, const char *account, time_t expires) _must_check_;

/* Ends sessions in Redis; hashes is JSON, an array of the hashes of tokens in hexadecimal. That Redis does
 * not answer is only logged: the database has ended them already. */
void session_forget(Request *request, const char *hashes);

/* Adds a cookie to the answer that removes ours. */
int session_clear_cookie(Request *request) _must_check_;
