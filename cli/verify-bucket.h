/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Segments straight from an S3 server, with the organisation's own key, which needs the rights to list and
 * get (policy/bucket/auditor-policy.json): the control plane's key can do the one, but not the other. */

#include "verify-judge.h"

typedef struct VerifyBucket {
        const char *endpoint; /* https://host[:port] */
        const char *region;
        const char *bucket;
        const char *prefix;  /* of the objects' names: a company, device or recording */
        bool virtual_hosted; /* the bucket's name is in the host's, not in the path */
        const char *ca_file; /* NULL: the system's */
        const char *save;    /* folder to keep segments and statements in; NULL: nowhere */
} VerifyBucket;

/* Gives the judge every object below the prefix. The key comes from $AWS_ACCESS_KEY_ID,
 * $AWS_SECRET_ACCESS_KEY and $AWS_SESSION_TOKEN, else from the profile $AWS_PROFILE (default) of
 * $AWS_SHARED_CREDENTIALS_FILE
 * (~/.aws/credentials). What keeps it from that is said, and is a negative errno. */
int verify_bucket(Judge *judge, const VerifyBucket *bucket);
