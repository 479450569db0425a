/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* JSON Web Signatures in compact form (RFC 7515) with ES256 alone (RFC 7518 §3.4), and P-256 public keys as
 * JSON Web Keys (RFC 7517). There is no choice of algorithm, so a token cannot choose one. */

#include <jansson.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_freep, EVP_PKEY_free)

/* Greatest length of a token; a longer one is refused unread. */
#define JWS_TOKEN_MAX 8192U

/* An uncompressed P-256 point as of SEC 1 §2.3.3: 0x04, x, y. */
#define P256_POINT_SIZE 65U

/* RFC 4648 §5 without padding. The result is NUL-terminated and the caller's. -ENOMEM; -E2BIG over 1 GiB. */
int base64url_encode(const void *data, size_t size, char **ret) _must_check_;

/* The strict inverse: no padding, no space, no bits left over, so that each value has one spelling.
 * The result is the caller's and has a NUL after its *ret_size bytes. -EINVAL, -ENOMEM, -E2BIG. */
int base64url_decode(const char *text, size_t length, uint8_t **ret, size_t *ret_size) _must_check_;

/* Signs claims (an object), members of both objects in the order of their names. header may be NULL or name
 * members beside "alg", such as {"typ": "JWT"}; it is not changed. *ret is the token, the caller's. -EINVAL:
 * key is no P-256 private key, or claims no object; -E2BIG: over JWS_TOKEN_MAX; -ENOMEM; -EIO: OpenSSL
 * failed. */
int jws_sign(EVP_PKEY *key, const json_t *header, const json_t *claims, char **ret) _must_check_;

/* Verifies a token and returns its claims, an object and a reference of the caller's. -EBADMSG: not a JWS
 * with exactly "alg": "ES256" and no "crit", or claims no JSON object; -EKEYREJECTED: well-formed, but not
 * signed by this key; -E2BIG: over JWS_TOKEN_MAX; -EINVAL: key is not P-256; -ENOMEM. */
int jws_verify(const char *token, EVP_PKEY *key, json_t **ret_claims) _must_check_;

/* The same with the public key that its header holds ("jwk"), which is returned as well: it proves nothing
 * until the caller has found whose key that is. Errors as of jws_verify() and jwk_to_key(). */
int jws_verify_own(const char *token, json_t **ret_header, json_t **ret_claims,
                   EVP_PKEY **ret_key) _must_check_;

/* The claims of a token nobody has verified: to find out which key to verify it with, and for nothing
 * else. Errors as of jws_verify(), without -EKEYREJECTED. */
int jws_claims_unverified(const char *token, json_t **ret_claims) _must_check_;

/* A public key from a JWK (RFC 7518 §6.2.1): "kty": "EC", "crv": "P-256", x and y of 32 bytes, a point on
 * the curve. -EBADMSG for anything else, and for one that holds a private key ("d"); -ENOMEM. */
int jwk_to_key(const json_t *jwk, EVP_PKEY **ret) _must_check_;

/* The public half of a P-256 key as {"kty", "crv", "x", "y"}. -EINVAL: not P-256; -ENOMEM. */
int jwk_from_key(EVP_PKEY *key, json_t **ret) _must_check_;

/* The same as a point. -EBADMSG: not an uncompressed point on the curve; -EINVAL: not P-256. */
int p256_from_point(const uint8_t point[static P256_POINT_SIZE], EVP_PKEY **ret) _must_check_;
int p256_to_point(EVP_PKEY *key, uint8_t ret_point[static P256_POINT_SIZE]) _must_check_;

/* What a key is called: its RFC 7638 thumbprint by SHA-256 in base64url. -EINVAL: not P-256; -ENOMEM; -EIO.
 */
#define THUMBPRINT_SIZE 44U
int jwk_thumbprint(EVP_PKEY *key, char ret[static THUMBPRINT_SIZE]) _must_check_;
