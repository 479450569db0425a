/* SPDX-License-Identifier: Apache-2.0 */

#include "jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define COORDINATE_SIZE 32U
#define SIGNATURE_SIZE  (2 * COORDINATE_SIZE) /* RFC 7518 §3.4: r and s, each at full length */
#define DER_MAX         80U                   /* of an ECDSA-Sig-Value over P-256: 72 */

DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_freep, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_freep, EVP_MD_CTX_free)
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_freep, ECDSA_SIG_free)
DEFINE_CLEANUP(BIGNUM *, BN_freep, BN_free)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int base64url_encode(const void *data, size_t size, char **ret) {
        const uint8_t *in = data;
        size_t n = 0;

        if (size > UINT32_C(1) << 30)
                return -E2BIG;
        char *out = malloc((size + 2) / 3 * 4 + 1);
        if (!out)
                return -ENOMEM;
        for (size_t i = 0; i < size; i += 3) {
                size_t left = size - i;
                uint32_t bits = (uint32_t) in[i] << 16 | (left > 1 ? (uint32_t) in[i + 1] << 8 : 0) |
                                (left > 2 ? in[i + 2] : 0);
                out[n++] = alphabet[bits >> 18];
                out[n++] = alphabet[bits >> 12 & 63];
                if (left > 1)
                        out[n++] = alphabet[bits >> 6 & 63];
                if (left > 2)
                        out[n++] = alphabet[bits & 63];
        }
        out[n] = '\0';
        *ret = out;
        return 0;
}

static int digit_value(char c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '-' ? 62 : c == '_' ? 63 : -EINVAL;
}

int base64url_decode(const char *text, size_t length, uint8_t **ret, size_t *ret_size) {
        uint32_t bits = 0;
        unsigned n_bits = 0;
        size_t n = 0;

        if (length > UINT32_C(1) << 30)
                return -E2BIG;
        if (length % 4 == 1)
                return -EINVAL;
        _cleanup_free_ uint8_t *out = malloc(length / 4 * 3 + 3);
        if (!out)
                return -ENOMEM;
        for (size_t i = 0; i < length; i++) {
                int value = digit_value(text[i]);
                if (value < 0)
                        return value;
                bits = bits << 6 | (uint32_t) value;
                n_bits += 6;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        out[n++] = (uint8_t) (bits >> n_bits);
                        bits &= (1U << n_bits) - 1;
                }
        }
        if (bits != 0)
                return -EINVAL;
        out[n] = '\0';
        *ret = TAKE_PTR(out);
        *ret_size = n;
        return 0;
}

static int key_check(EVP_PKEY *key) {
        char group[32];

        if (!key || !EVP_PKEY_is_a(key, "EC") ||
            EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
                return -EINVAL;
        return strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, "P-256") == 0 ? 0 : -EINVAL;
}

static int encode_json(const json_t *value, char **ret) {
        _cleanup_free_ char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);

        return text ? base64url_encode(text, strlen(text), ret) : -ENOMEM;
}

/* DER as OpenSSL has it ⇄ the fixed-length form of JWS. */
static int signature_from_der(const uint8_t *der, size_t size, uint8_t ret[static SIGNATURE_SIZE]) {
        _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long) size);

        if (!signature)
                return -EIO;
        if (BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret, COORDINATE_SIZE) < 0 ||
            BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret + COORDINATE_SIZE, COORDINATE_SIZE) < 0)
                return -EIO;
        return 0;
}

static int signature_to_der(const uint8_t raw[static SIGNATURE_SIZE], uint8_t ret[static DER_MAX],
                            size_t *ret_size) {
        _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *signature = ECDSA_SIG_new();
        _cleanup_(BN_freep) BIGNUM *r = BN_bin2bn(raw, COORDINATE_SIZE, NULL);
        _cleanup_(BN_freep) BIGNUM *s = BN_bin2bn(raw + COORDINATE_SIZE, COORDINATE_SIZE, NULL);

        if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1)
                return -ENOMEM;
        r = s = NULL; /* the signature's now */
        int size = i2d_ECDSA_SIG(signature, NULL);
        if (size <= 0 || (size_t) size > DER_MAX)
                return -EIO;
        i2d_ECDSA_SIG(signature, &ret);
        *ret_size = (size_t) size;
        return 0;
}

int jws_sign(EVP_PKEY *key, const json_t *header, const json_t *claims, char **ret) {
        _cleanup_(json_decrefp) json_t *full_header = NULL;
        _cleanup_free_ char *encoded_header = NULL, *encoded_claims = NULL, *input = NULL, *encoded = NULL;
        uint8_t der[DER_MAX], raw[SIGNATURE_SIZE];
        size_t der_size = sizeof(der);
        int r;

        r = key_check(key);
        if (r < 0)
                return r;
        if (!json_is_object(claims) || (header && !json_is_object(header)))
                return -EINVAL;

        full_header = header ? json_copy((json_t *) header) : json_object();
        if (!full_header || json_object_set_new(full_header, "alg", json_string("ES256")) < 0)
                return -ENOMEM;
        if ((r = encode_json(full_header, &encoded_header)) < 0 ||
            (r = encode_json(claims, &encoded_claims)) < 0)
                return r;
        if (asprintf(&input, "%s.%s", encoded_header, encoded_claims) < 0)
                return -ENOMEM;

        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        if (!context)
                return -ENOMEM;
        if (EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1)
                return -EIO;
        if (EVP_DigestSign(context, der, &der_size, (const uint8_t *) input, strlen(input)) != 1)
                return EVP_PKEY_can_sign(key) ? -EINVAL : -EIO; /* a public key alone fails here */
        if ((r = signature_from_der(der, der_size, raw)) < 0 ||
            (r = base64url_encode(raw, sizeof(raw), &encoded)) < 0)
                return r;
        if (strlen(input) + 1 + strlen(encoded) > JWS_TOKEN_MAX)
                return -E2BIG;
        char *token;
        if (asprintf(&token, "%s.%s", input, encoded) < 0)
                return -ENOMEM;
        *ret = token;
        return 0;
}

static int decode_json(const char *text, size_t length, json_t **ret) {
        _cleanup_free_ uint8_t *bytes = NULL;
        size_t size;
        int r;

        r = base64url_decode(text, length, &bytes, &size);
        if (r < 0)
                return r == -EINVAL ? -EBADMSG : r;
        _cleanup_(json_decrefp) json_t *value =
                        json_loadb((const char *) bytes, size, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(value))
                return -EBADMSG;
        *ret = TAKE_PTR(value);
        return 0;
}

/* Splits a token into what is signed and the signature, and decodes its header and claims. */
static int token_parse(const char *token, size_t *ret_signed_length, uint8_t **ret_signature,
                       size_t *ret_signature_size, json_t **ret_header, json_t **ret_claims) {
        _cleanup_(json_decrefp) json_t *header = NULL, *claims = NULL;
        _cleanup_free_ uint8_t *signature = NULL;
        size_t signature_size, length;
        int r;

        length = strnlen(token, JWS_TOKEN_MAX + 1);
        if (length > JWS_TOKEN_MAX)
                return -E2BIG;
        const char *first = strchr(token, '.');
        const char *second = first ? strchr(first + 1, '.') : NULL;
        if (!second)
                return -EBADMSG;

        r = decode_json(token, (size_t) (first - token), &header);
        if (r < 0)
                return r;
        /* "crit" names extensions that must be understood (RFC 7515 §4.1.11); none is. */
        const char *algorithm = json_string_value(json_object_get(header, "alg"));
        if (!algorithm || strcmp(algorithm, "ES256") != 0 || json_object_get(header, "crit"))
                return -EBADMSG;
        r = decode_json(first + 1, (size_t) (second - first - 1), &claims);
        if (r < 0)
                return r;
        r = base64url_decode(second + 1, length - (size_t) (second + 1 - token), &signature,
                             &signature_size);
        if (r < 0)
                return r == -EINVAL ? -EBADMSG : r;
        if (signature_size != SIGNATURE_SIZE)
                return -EBADMSG;

        *ret_signed_length = (size_t) (second - token);
        *ret_signature = TAKE_PTR(signature);
        *ret_signature_size = signature_size;
        *ret_header = TAKE_PTR(header);
        *ret_claims = TAKE_PTR(claims);
        return 0;
}

/* Looked up by its name once, and not for each token: that takes longer than to hash one. */
static EVP_MD *sha256;

static void fetch_sha256(void) {
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static int signature_check(const char *token, size_t signed_length, const uint8_t raw[static SIGNATURE_SIZE],
                           EVP_PKEY *key) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        uint8_t der[DER_MAX], digest[32];
        size_t der_size;
        int r;

        r = signature_to_der(raw, der, &der_size);
        if (r < 0)
                return r;
        pthread_once(&once, fetch_sha256);
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
        if (!sha256 || !context)
                return -ENOMEM;
        if (EVP_PKEY_verify_init(context) != 1 ||
            EVP_Digest(token, signed_length, digest, NULL, sha256, NULL) != 1)
                return -EINVAL;
        return EVP_PKEY_verify(context, der, der_size, digest, sizeof(digest)) == 1 ? 0 : -EKEYREJECTED;
}

int jws_verify(const char *token, EVP_PKEY *key, json_t **ret_claims) {
        _cleanup_(json_decrefp) json_t *header = NULL, *claims = NULL;
        _cleanup_free_ uint8_t *signature = NULL;
        size_t signed_length, signature_size;
        int r;

        if ((r = key_check(key)) < 0 ||
            (r = token_parse(token, &signed_length, &signature, &signature_size, &header, &claims)) < 0 ||
            (r = signature_check(token, signed_length, signature, key)) < 0)
                return r;
        *ret_claims = TAKE_PTR(claims);
        return 0;
}

int jws_verify_own(const char *token, json_t **ret_header, json_t **ret_claims, EVP_PKEY **ret_key) {
        _cleanup_(json_decrefp) json_t *header = NULL, *claims = NULL;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        _cleanup_free_ uint8_t *signature = NULL;
        size_t signed_length, signature_size;
        int r;

        if ((r = token_parse(token, &signed_length, &signature, &signature_size, &header, &claims)) < 0 ||
            (r = jwk_to_key(json_object_get(header, "jwk"), &key)) < 0 ||
            (r = signature_check(token, signed_length, signature, key)) < 0)
                return r;
        *ret_header = TAKE_PTR(header);
        *ret_claims = TAKE_PTR(claims);
        *ret_key = TAKE_PTR(key);
        return 0;
}

int jws_claims_unverified(const char *token, json_t **ret_claims) {
        _cleanup_(json_decrefp) json_t *header = NULL;
        _cleanup_free_ uint8_t *signature = NULL;
        size_t signed_length, signature_size;

        return token_parse(token, &signed_length, &signature, &signature_size, &header, ret_claims);
}

static EVP_PKEY *curve;

static void make_curve(void) {
        OSSL_PARAM parameters[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *) SN_X9_62_prime256v1,
                                                 0),
                OSSL_PARAM_construct_end(),
        };
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);

        if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
            EVP_PKEY_fromdata(context, &curve, EVP_PKEY_KEY_PARAMETERS, parameters) != 1)
                curve = NULL;
}

int p256_from_point(const uint8_t point[static P256_POINT_SIZE], EVP_PKEY **ret) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        if (point[0] != POINT_CONVERSION_UNCOMPRESSED)
                return -EBADMSG;
        /* The curve's parameters once and for all: to make them takes longer than all else here. */
        pthread_once(&once, make_curve);
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = curve ? EVP_PKEY_dup(curve) : NULL;
        if (!key)
                return -ENOMEM;
        if (EVP_PKEY_set1_encoded_public_key(key, point, P256_POINT_SIZE) != 1)
                return -EBADMSG;
        /* Not left to what the call above happens to check: the point must be on the curve. P-256's cofactor
         * is 1, so that is all there is to check; the full check would multiply the point by the curve's
         * order. */
        _cleanup_(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
        if (!check)
                return -ENOMEM;
        if (EVP_PKEY_public_check_quick(check) != 1)
                return -EBADMSG;
        *ret = TAKE_PTR(key);
        return 0;
}

int p256_to_point(EVP_PKEY *key, uint8_t ret_point[static P256_POINT_SIZE]) {
        _cleanup_(BN_freep) BIGNUM *x = NULL, *y = NULL;
        size_t size;
        int r;

        r = key_check(key);
        if (r < 0)
                return r;
        /* A key that was read from a compressed point is given as one. */
        if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, ret_point, P256_POINT_SIZE,
                                            &size) == 1 &&
            size == P256_POINT_SIZE && ret_point[0] == POINT_CONVERSION_UNCOMPRESSED)
                return 0;
        if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
            EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1)
                return -EINVAL;
        ret_point[0] = POINT_CONVERSION_UNCOMPRESSED;
        if (BN_bn2binpad(x, ret_point + 1, COORDINATE_SIZE) < 0 ||
            BN_bn2binpad(y, ret_point + 1 + COORDINATE_SIZE, COORDINATE_SIZE) < 0)
                return -EINVAL;
        return 0;
}

static bool member_is(const json_t *object, const char *name, const char *expected) {
        const char *value = json_string_value(json_object_get(object, name));

        return value && strcmp(value, expected) == 0;
}

static int coordinate_decode(const json_t *jwk, const char *name, uint8_t ret[static COORDINATE_SIZE]) {
        const json_t *member = json_object_get(jwk, name);
        _cleanup_free_ uint8_t *bytes = NULL;
        size_t size;
        int r;

        if (!json_is_string(member))
                return -EBADMSG;
        r = base64url_decode(json_string_value(member), json_string_length(member), &bytes, &size);
        if (r < 0)
                return r == -EINVAL ? -EBADMSG : r;
        if (size != COORDINATE_SIZE)
                return -EBADMSG;
        memcpy(ret, bytes, COORDINATE_SIZE);
        return 0;
}

int jwk_to_key(const json_t *jwk, EVP_PKEY **ret) {
        uint8_t point[P256_POINT_SIZE] = { POINT_CONVERSION_UNCOMPRESSED };
        int r;

        if (!json_is_object(jwk) || !member_is(jwk, "kty", "EC") || !member_is(jwk, "crv", "P-256") ||
            json_object_get(jwk, "d"))
                return -EBADMSG;
        if ((r = coordinate_decode(jwk, "x", point + 1)) < 0 ||
            (r = coordinate_decode(jwk, "y", point + 1 + COORDINATE_SIZE)) < 0)
                return r;
        return p256_from_point(point, ret);
}

int jwk_from_key(EVP_PKEY *key, json_t **ret) {
        _cleanup_free_ char *x = NULL, *y = NULL;
        uint8_t point[P256_POINT_SIZE];
        int r;

        r = p256_to_point(key, point);
        if (r < 0)
                return r;
        if ((r = base64url_encode(point + 1, COORDINATE_SIZE, &x)) < 0 ||
            (r = base64url_encode(point + 1 + COORDINATE_SIZE, COORDINATE_SIZE, &y)) < 0)
                return r;
        json_t *jwk = json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x", x, "y", y);
        if (!jwk)
                return -ENOMEM;
        *ret = jwk;
        return 0;
}

int jwk_thumbprint(EVP_PKEY *key, char ret[static THUMBPRINT_SIZE]) {
        _cleanup_(json_decrefp) json_t *jwk = NULL;
        _cleanup_free_ char *text = NULL, *encoded = NULL;
        uint8_t digest[32];
        int r;

        r = jwk_from_key(key, &jwk);
        if (r < 0)
                return r;
        /* RFC 7638 §3.3: the required members alone, in the order of their names, without spaces. */
        if (!(text = json_dumps(jwk, JSON_COMPACT | JSON_SORT_KEYS)))
                return -ENOMEM;
        if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        r = base64url_encode(digest, sizeof(digest), &encoded);
        if (r < 0)
                return r;
        memcpy(ret, encoded, THUMBPRINT_SIZE);
        return 0;
}
