/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every error that the API answers with, in one table: RFC 9457 problem details whose "code" is a stable
 * word for programs, and the SQLSTATE by which a procedure of schema api raises it. */

#include <stddef.h>

typedef enum Problem {
        PROBLEM_NOT_FOUND,
        PROBLEM_METHOD_NOT_ALLOWED,
        PROBLEM_BODY_TOO_LARGE,
        PROBLEM_BODY_TYPE_UNSUPPORTED,
        PROBLEM_BODY_INVALID,
        PROBLEM_FIELD_INVALID,
        PROBLEM_SEGMENT_TOO_LARGE,
        PROBLEM_INTERNAL,
        PROBLEM_DATABASE_UNAVAILABLE,
        PROBLEM_OUTCOME_UNKNOWN,
        PROBLEM_BUSY,
        PROBLEM_TOKEN_INVALID,
        PROBLEM_TOKEN_EXPIRED,
        PROBLEM_DEVICE_REVOKED,
        PROBLEM_ROLE_INSUFFICIENT,
        PROBLEM_CHALLENGE_INVALID,
        PROBLEM_INVITATION_INVALID,
        PROBLEM_LOGIN_REFUSED,
        PROBLEM_LOGIN_LOCKED,
        PROBLEM_LOGIN_BUSY,
        PROBLEM_PASSWORD_WRONG,
        PROBLEM_FACTORS_WRONG,
        PROBLEM_ORIGIN_REFUSED,
        PROBLEM_SESSIONS_UNAVAILABLE,
        PROBLEM_ENROLMENT_CODE_INVALID,
        PROBLEM_DEVICE_KEY_KNOWN,
        PROBLEM_PROOF_INVALID,
        PROBLEM_CLIENT_INVALID,
        PROBLEM_ASSERTION_TIME,
        PROBLEM_ASSERTION_REPLAYED,
        PROBLEM_GRANT_UNSUPPORTED,
        PROBLEM_RECORDING_CONFLICT,
        PROBLEM_RECORDING_UNKNOWN,
        PROBLEM_RECORDING_FINISHED,
        PROBLEM_SEGMENTS_BEYOND_END,
        PROBLEM_SEGMENTS_MISSING,
        PROBLEM_BUCKET_MISSING,
        PROBLEM_SEGMENT_CHAIN_BROKEN,
        PROBLEM_SEGMENT_CONFLICT,
        PROBLEM_SEGMENT_COMPLETE,
        PROBLEM_SEGMENT_UNKNOWN,
        PROBLEM_SEGMENT_PENDING,
        PROBLEM_STATEMENT_INVALID,
        PROBLEM_USER_UNKNOWN,
        PROBLEM_USER_EXISTS,
        PROBLEM_LAST_OWNER,
        PROBLEM_USER_INVITED,
        PROBLEM_EMPLOYEE_UNKNOWN,
        PROBLEM_EMPLOYEE_EXISTS,
        PROBLEM_DEVICE_UNKNOWN,
        PROBLEM_ENROLMENT_CODE_UNKNOWN,
        PROBLEM_POLICY_CONFLICT,
        PROBLEM_EMAIL_INVALID,
        PROBLEM_POLICY_INVALID,
        PROBLEM_BUCKET_INVALID,
        PROBLEM_IDEMPOTENCY_KEY_REUSED,
        _PROBLEM_MAX,
} Problem;

typedef struct ProblemInfo {
        const char *code;     /* the stable word */
        unsigned status;      /* HTTP */
        const char *sqlstate; /* as raised by schema api; NULL: apid's own */
        const char *error;    /* RFC 6749 §5.2, for the token endpoint, or RFC 6750 §3.1; NULL: none */
        const char *title;
        const char *detail; /* what to do; a handler may say it more exactly */
} ProblemInfo;

extern const ProblemInfo problems[_PROBLEM_MAX];

/* PROBLEM_INTERNAL if there is none of this SQLSTATE. */
Problem problem_from_sqlstate(const char *sqlstate);
