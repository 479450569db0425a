/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What devices sign, made for a request that is made up: no mutation would ever find a signature. */

#include <stddef.h>

typedef struct SignedRequest {
        const char *folder; /* where the keys are */
        const char *path;   /* which decides what is signed, and names the recording */
        const char *token;  /* the caller's; may be NULL */
        const char *body;   /* what is signed is what it says, as far as that can be read */
        size_t body_size;
} SignedRequest;

/* Signed by the key in key.pem, as the device that the word key names. The result is the caller's; NULL:
 * there is no such key, or nothing that could be signed. */
char *request_signed(const SignedRequest *request, const char *key);
