/* SPDX-License-Identifier: Apache-2.0 */

#include "problem.h"

#include <string.h>

const ProblemInfo problems[_PROBLEM_MAX] = {
        [PROBLEM_NOT_FOUND] = { "not_found", 404, NULL, NULL, "There is nothing here",
                                "The path is not one of the API's: see the API's documentation." },
        [PROBLEM_METHOD_NOT_ALLOWED] = { "method_not_allowed", 405, NULL, NULL, "Method not allowed",
                                         "Use one of the methods in the Allow header." },
        [PROBLEM_BODY_TOO_LARGE] = { "body_too_large", 413, NULL, NULL, "The request's body is too large",
                                     "Send at most 64 KiB." },
        [PROBLEM_BODY_TYPE_UNSUPPORTED] = { "body_type_unsupported", 415, NULL, NULL,
                                            "Unsupported content type",
                                            "Send application/json (UTF-8), or "
                                            "application/x-www-form-urlencoded to /v1/devices/token." },
        [PROBLEM_BODY_INVALID] = { "body_invalid", 400, NULL, "invalid_request",
                                   "The request's body cannot be read",
                                   "Send one JSON object in UTF-8 without duplicate members." },
        [PROBLEM_FIELD_INVALID] = { "field_invalid", 422, NULL, "invalid_request",
                                    "A value is missing or invalid", "Correct the value." },
        [PROBLEM_SEGMENT_TOO_LARGE] = { "segment_too_large", 422, NULL, NULL, "The segment is too large",
                                        "A segment has at most 16777216 bytes: end segments sooner." },
        [PROBLEM_INTERNAL] = { "internal", 500, NULL, NULL, "Something went wrong here",
                               "Try again later; the server's journal says what it was." },
        [PROBLEM_DATABASE_UNAVAILABLE] = { "database_unavailable", 503, NULL, NULL,
                                           "The database does not answer", "Try again in some seconds." },
        [PROBLEM_TOKEN_INVALID] = { "token_invalid", 401, "SS001", "invalid_token",
                                    "The token is missing or unknown",
                                    "Send a token of the right kind in \"Authorization: Bearer …\": a device gets one from "
                                    "/v1/devices/token." },
        [PROBLEM_TOKEN_EXPIRED] = { "token_expired", 401, "SS002", "invalid_token", "The token has expired",
                                    "Get a new one: a device from /v1/devices/token, a person by logging in." },
        [PROBLEM_DEVICE_REVOKED] = { "device_revoked", 401, "SS003", "invalid_client",
                                     "The device was revoked",
                                     "An administrator took this device out of service: enrol it again with a new code and "
                                     "a new key." },
        [PROBLEM_ROLE_INSUFFICIENT] = { "role_insufficient", 403, "SS004", NULL,
                                        "Your role does not allow this", "Ask an owner of the company." },
        [PROBLEM_CHALLENGE_INVALID] = { "challenge_invalid", 401, "SS005", NULL,
                                        "The login is too old, or was tried too often",
                                        "Begin again with the password." },
        [PROBLEM_INVITATION_INVALID] = { "invitation_invalid", 403, "SS006", NULL,
                                         "The invitation is not valid",
                                         "It is wrong, was already used, or has expired: ask for a new one." },
        [PROBLEM_LOGIN_REFUSED] = { "login_refused", 401, NULL, NULL, "That is not right",
                                    "The e-mail address, the password or the code is wrong. A code is good once and for "
                                    "about half a minute." },
        [PROBLEM_LOGIN_LOCKED] = { "login_locked", 429, NULL, NULL, "Too many failed logins",
                                   "Wait as long as Retry-After says, then try again." },
        [PROBLEM_LOGIN_BUSY] = { "login_busy", 503, NULL, NULL, "Too many people are logging in",
                                 "Try again in some seconds." },
        [PROBLEM_PASSWORD_WRONG] = { "password_wrong", 403, NULL, NULL, "The present password is wrong",
                                     "Send the password that you log in with as \"password\"." },
        [PROBLEM_ORIGIN_REFUSED] = { "origin_refused", 403, NULL, NULL,
                                     "This request comes from another site",
                                     "A browser's request must come from the control plane's own page; a program sends its "
                                     "session in \"Authorization: Bearer …\"." },
        [PROBLEM_SESSIONS_UNAVAILABLE] = { "sessions_unavailable", 503, NULL, NULL,
                                           "The store of sessions does not answer",
                                           "Try again in some seconds." },
        [PROBLEM_ENROLMENT_CODE_INVALID] = { "enrolment_code_invalid", 403, "SS010", NULL,
                                             "The enrolment code is not valid",
                                             "It is wrong, was already used, or has expired: check its spelling or ask the "
                                             "administrator for a new one." },
        [PROBLEM_DEVICE_KEY_KNOWN] = { "device_key_known", 409, "SS011", NULL,
                                       "The key belongs to a device already",
                                       "Make a new key and enrol with it." },
        [PROBLEM_PROOF_INVALID] = { "proof_invalid", 403, NULL, NULL, "The proof of possession is not valid",
                                    "Sign {\"aud\", \"code_sha256\", \"iat\"} for this code and this server with the key "
                                    "that is enrolled." },
        [PROBLEM_CLIENT_INVALID] = { "client_invalid", 401, "SS020", "invalid_client",
                                     "The device is not known by this key",
                                     "Sign the assertion with the key of an enrolled device; enrol the device if it is "
                                     "not." },
        [PROBLEM_ASSERTION_TIME] = { "assertion_time", 401, NULL, "invalid_client",
                                     "The assertion is not valid at this time", "Set the device's clock." },
        [PROBLEM_ASSERTION_REPLAYED] = { "assertion_replayed", 401, "SS021", "invalid_client",
                                         "The assertion was used before", "Make a new one with a new jti." },
        [PROBLEM_GRANT_UNSUPPORTED] = { "grant_unsupported", 400, NULL, "unsupported_grant_type",
                                        "Unsupported grant or assertion type",
                                        "Use grant_type=client_credentials with "
                                        "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer." },
        [PROBLEM_RECORDING_CONFLICT] = { "recording_conflict", 409, "SS030", NULL,
                                         "There is another recording with this id",
                                         "Choose a new random id for a new recording." },
        [PROBLEM_RECORDING_UNKNOWN] = { "recording_unknown", 404, "SS031", NULL,
                                        "There is no such recording",
                                        "Open it first with PUT /v1/recordings/{id}." },
        [PROBLEM_RECORDING_FINISHED] = { "recording_finished", 409, "SS032", NULL,
                                         "The recording is finished already", "Open a new one." },
        [PROBLEM_SEGMENTS_BEYOND_END] = { "segments_beyond_end", 409, "SS033", NULL,
                                          "The recording has more segments than that",
                                          "Finish it with the number of segments that were announced." },
        [PROBLEM_SEGMENTS_MISSING] = { "segments_missing", 409, NULL, NULL, "Not every segment is complete",
                                       "Upload and complete the segments in \"missing\" (the first hundred), then finish "
                                       "again." },
        [PROBLEM_BUCKET_MISSING] = { "bucket_missing", 409, "SS040", NULL, "The company has no bucket",
                                     "An administrator must name one: streamsight-admin bucket set." },
        [PROBLEM_SEGMENT_CHAIN_BROKEN] = { "segment_chain_broken", 409, "SS041", NULL,
                                           "The segment does not continue the one before",
                                           "previous_sha256 must be the sha256 of the segment before, and null for "
                                           "sequence 0." },
        [PROBLEM_SEGMENT_CONFLICT] = { "segment_conflict", 409, "SS042", NULL,
                                       "There is another segment with this sequence",
                                       "A sequence is announced with one content only." },
        [PROBLEM_SEGMENT_COMPLETE] = { "segment_complete", 409, "SS043", NULL,
                                       "The segment is complete already",
                                       "It is in the bucket: go on with the next." },
        [PROBLEM_SEGMENT_UNKNOWN] = { "segment_unknown", 404, "SS044", NULL, "There is no such segment",
                                      "Announce it first with POST /v1/recordings/{id}/segments." },
        [PROBLEM_SEGMENT_PENDING] = { "segment_pending", 409, "SS045", NULL,
                                      "The segment is not in the bucket yet",
                                      "Try again when its state is \"complete\"." },
        [PROBLEM_STATEMENT_INVALID] = { "statement_invalid", 422, "SS046", NULL,
                                        "The device's statement is not valid",
                                        "It must be signed with this device's key, over exactly what the request "
                                        "says: docs/evidence.md." },
};

Problem problem_from_sqlstate(const char *sqlstate) {
        for (Problem problem = 0; sqlstate && problem < _PROBLEM_MAX; problem++)
                if (problems[problem].sqlstate && strcmp(problems[problem].sqlstate, sqlstate) == 0)
                        return problem;
        return PROBLEM_INTERNAL;
}
