/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a device says of a segment, and of a recording's end, signed with its key: a compact JWS (jws.h) that
 * holds the public key ("jwk") in its header, so that it proves itself to whoever knows the key's
 * thumbprint. Members are in the order of their names, so that the same statement is signed as the same
 * bytes.
 *
 *   header   {"alg": "ES256", "jwk": {…}, "typ": "streamsight-segment+jwt"}
 *   claims   {"device", "ended_at", "final", "previous_sha256", "recording", "sequence", "sha256", "size",
 *             "started_at"}
 *
 *   header   {…, "typ": "streamsight-recording+jwt"}
 *   claims   {"device", "ended_at", "reason", "recording", "segments"}
 *
 * docs/evidence.md describes both for those who verify them by other means. */

#include <stdbool.h>
#include <stdint.h>

#include "jws.h"

#define STATEMENT_MAX          1023U /* bytes: it is sent as a header, which uploadd bounds (wire.h) */
#define STATEMENT_REASON_MAX   64U
#define STATEMENT_TIME_SIZE    40U
#define STATEMENT_SEQUENCE_MAX 99999999U

/* Ids are UUIDs in lower case, times RFC 3339 in UTC as docs/api.md says, hashes lower-case hexadecimal. */
typedef struct SegmentStatement {
        char device[37], recording[37];
        uint32_t sequence;
        bool final; /* the recording ended with this segment */
        char sha256[65];
        char previous_sha256[65]; /* "" for sequence 0, else set */
        uint64_t size;            /* bytes */
        char started_at[STATEMENT_TIME_SIZE], ended_at[STATEMENT_TIME_SIZE];
} SegmentStatement;

typedef struct RecordingStatement {
        char device[37], recording[37];
        uint32_t segments; /* how many the recording has: sequences 0 to segments - 1 */
        char ended_at[STATEMENT_TIME_SIZE];
        char reason[STATEMENT_REASON_MAX + 1];
} RecordingStatement;

/* *ret: the statement, the caller's. -EINVAL: a member that segment_statement_verify() would refuse, or key
 * is no P-256 private key; -ENOMEM; -EIO: OpenSSL failed. */
int segment_statement_sign(EVP_PKEY *key, const SegmentStatement *statement, char **ret) _must_check_;
int recording_statement_sign(EVP_PKEY *key, const RecordingStatement *statement, char **ret) _must_check_;

/* Verifies a statement with the key that it holds. That proves nothing until the caller has found that
 * *ret_key, the caller's, is the device's. -EBADMSG: no statement of this kind, or a member is missing,
 * unknown or malformed; -EKEYREJECTED: not signed by that key; -E2BIG; -ENOMEM. */
int segment_statement_verify(const char *text, SegmentStatement *ret, EVP_PKEY **ret_key) _must_check_;
int recording_statement_verify(const char *text, RecordingStatement *ret, EVP_PKEY **ret_key) _must_check_;
