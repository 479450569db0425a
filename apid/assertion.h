/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Client assertions: how a device proves itself (RFC 7523 §3), and what it gets for it. */

#include <jansson.h>

#include "request.h"

#define ASSERTION_LIFETIME_MAX 60 /* seconds from iat to exp */
#define ASSERTION_SKEW         60 /* seconds by which clocks may differ */

/* Answers with PROBLEM_ASSERTION_TIME unless now is between issued and expires, which are seconds since the
 * epoch and at most ASSERTION_LIFETIME_MAX apart. */
int assertion_check_time(Request *request, json_int_t issued, json_int_t expires) _must_check_;
