/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Proofs for the control plane that this process holds a key: signed now, for that control plane alone, and
 * for what one member says. docs/api.md has which there are. */

#include "jws.h"

/* The member is value. *ret is the caller's to free. */
int proof_sign(EVP_PKEY *key, const char *url, const char *member, const char *value, char **ret);
/* The member is the SHA-256 of secret, in hexadecimal. */
int proof_sign_hash(EVP_PKEY *key, const char *url, const char *member, const char *secret, char **ret);
