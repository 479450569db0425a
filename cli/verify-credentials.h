/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cleanup.h"

#define CREDENTIAL_MAX 4096U

typedef struct Credentials {
        char access_key_id[129];
        char secret_key[257];
        char session_token[CREDENTIAL_MAX + 1]; /* "": none */
} Credentials;

/* Where AWS's own tools find them: the environment, else the credentials file's profile. -ENOKEY: nowhere,
 * or half of them; others from reading the file. Wipe with OPENSSL_cleanse(). */
int credentials_find(Credentials *ret) _must_check_;
