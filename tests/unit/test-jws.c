/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <stdbool.h>
#include <string.h>

#include "jws.h"

/* RFC 7515 appendix A.3 */
#define A3_X      "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define A3_Y      "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define A3_HEADER "eyJhbGciOiJFUzI1NiJ9"
#define A3_CLAIMS                                                                                           \
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define A3_SIGNATURE "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

static EVP_PKEY *a3_key(void) {
        json_t *jwk = json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x", A3_X, "y", A3_Y);
        EVP_PKEY *key = NULL;
        assert_int_equal(jwk_to_key(jwk, &key), 0);
        json_decref(jwk);
        return key;
}

static int verdict(const char *token, EVP_PKEY *key) {
        json_t *claims = NULL;
        int r = jws_verify(token, key, &claims);
        assert_true((r >= 0) == (claims != NULL));
        json_decref(claims);
        return r;
}

/* A token of any header, signed with key if there is one: what jws_sign() would not make. */
static char *forge(EVP_PKEY *key, const char *header, const char *claims) {
        char *h = NULL, *c = NULL, *s = NULL, *token = NULL;
        uint8_t raw[64] = {};

        assert_int_equal(base64url_encode(header, strlen(header), &h), 0);
        assert_int_equal(base64url_encode(claims, strlen(claims), &c), 0);
        if (key) {
                uint8_t der[80];
                const uint8_t *p = der;
                size_t size = sizeof(der);
                assert_true(asprintf(&token, "%s.%s", h, c) > 0);
                EVP_MD_CTX *context = EVP_MD_CTX_new();
                assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
                assert_int_equal(EVP_DigestSign(context, der, &size, (const uint8_t *) token, strlen(token)),
                                 1);
                EVP_MD_CTX_free(context);
                free(token);
                ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &p, (long) size);
                BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, 32);
                BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + 32, 32);
                ECDSA_SIG_free(signature);
        }
        assert_int_equal(base64url_encode(raw, sizeof(raw), &s), 0);
        assert_true(asprintf(&token, "%s.%s.%s", h, c, s) > 0);
        free(h);
        free(c);
        free(s);
        return token;
}

static void test_base64url_vectors(void **state _unused_) {
        /* RFC 4648 §10 */
        static const char *const vectors[][2] = {
                { "", "" },           { "f", "Zg" },          { "fo", "Zm8" },         { "foo", "Zm9v" },
                { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }
        };
        for (size_t i = 0; i < ELEMENTSOF(vectors); i++) {
                _cleanup_free_ char *text = NULL;
                _cleanup_free_ uint8_t *bytes = NULL;
                size_t size;
                assert_int_equal(base64url_encode(vectors[i][0], strlen(vectors[i][0]), &text), 0);
                assert_string_equal(text, vectors[i][1]);
                assert_int_equal(base64url_decode(text, strlen(text), &bytes, &size), 0);
                assert_int_equal(size, strlen(vectors[i][0]));
                assert_memory_equal(bytes, vectors[i][0], size);
        }
}

static void test_base64url_is_strict(void **state _unused_) {
        static const char *const wrong[] = { "Z",    "Zg==",  "Zm8=",  "Zh",   "Zm9",
                                             "Zm+v", "Zm/v",  " Zg",   "Zg\n", "Zm9vY",
                                             "Z g8", "Zm9v=", "\xffg", "====", "Zm9v Zg" };
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                uint8_t *bytes = NULL;
                size_t size;
                assert_int_equal(base64url_decode(wrong[i], strlen(wrong[i]), &bytes, &size), -EINVAL);
                assert_null(bytes);
        }
        uint8_t *bytes = NULL;
        size_t size;
        assert_int_equal(base64url_decode("Zg\0A", 4, &bytes, &size), -EINVAL);
}

static void test_rfc7515_a3(void **state _unused_) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = a3_key();
        _cleanup_(json_decrefp) json_t *claims = NULL;
        assert_int_equal(jws_verify(A3_HEADER "." A3_CLAIMS "." A3_SIGNATURE, key, &claims), 0);
        assert_string_equal(json_string_value(json_object_get(claims, "iss")), "joe");
        assert_int_equal(json_integer_value(json_object_get(claims, "exp")), 1300819380);
}

static void test_every_changed_character_is_refused(void **state _unused_) {
        static const char good[] = A3_HEADER "." A3_CLAIMS "." A3_SIGNATURE;
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = a3_key();
        for (size_t i = 0; i < sizeof(good) - 1; i++) {
                char bad[sizeof(good)];
                memcpy(bad, good, sizeof(good));
                bad[i] = bad[i] == 'A' ? 'B' : 'A';
                assert_true(verdict(bad, key) < 0);
        }
}

static void test_cut_and_padded(void **state _unused_) {
        static const char good[] = A3_HEADER "." A3_CLAIMS "." A3_SIGNATURE;
        static const char *const bad[] = {
                A3_HEADER "." A3_CLAIMS "." A3_SIGNATURE "==",
                A3_HEADER "." A3_CLAIMS "." A3_SIGNATURE "AA",
                A3_HEADER "." A3_CLAIMS "." A3_SIGNATURE "." A3_SIGNATURE,
                A3_HEADER "." A3_CLAIMS "." A3_SIGNATURE "\n",
                " " A3_HEADER "." A3_CLAIMS "." A3_SIGNATURE,
                A3_HEADER "=." A3_CLAIMS "." A3_SIGNATURE,
                A3_HEADER ".." A3_SIGNATURE,
                "." A3_CLAIMS "." A3_SIGNATURE,
                "..",
                "",
        };
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = a3_key();
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(verdict(bad[i], key), -EBADMSG);
        for (size_t length = 0; length < sizeof(good) - 1; length++) {
                char cut[sizeof(good)] = {};
                memcpy(cut, good, length);
                assert_true(verdict(cut, key) < 0);
        }
}

static void test_other_algorithms_are_refused(void **state _unused_) {
        static const char *const headers[] = {
                "{\"alg\":\"none\"}",
                "{\"alg\":\"None\"}",
                "{\"alg\":\"es256\"}",
                "{\"alg\":\"HS256\"}",
                "{\"alg\":\"ES384\"}",
                "{\"alg\":\"ES256K\"}",
                "{\"alg\":\"ES256 \"}",
                "{\"alg\":[\"ES256\"]}",
                "{\"typ\":\"JWT\"}",
                "{\"alg\":\"none\",\"alg\":\"ES256\"}",
                "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}",
                "[\"ES256\"]",
                "ES256",
        };
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
        for (size_t i = 0; i < ELEMENTSOF(headers); i++) {
                _cleanup_free_ char *token = forge(key, headers[i], "{\"sub\":\"x\"}");
                assert_int_equal(verdict(token, key), -EBADMSG);
        }
        /* The helper itself makes good tokens, or the above would prove nothing. */
        _cleanup_free_ char *token = forge(key, "{\"alg\":\"ES256\"}", "{\"sub\":\"x\"}");
        assert_int_equal(verdict(token, key), 0);
        _cleanup_free_ char *unsigned_token = forge(NULL, "{\"alg\":\"ES256\"}", "{\"sub\":\"x\"}");
        assert_int_equal(verdict(unsigned_token, key), -EKEYREJECTED);
}

static void test_claims_must_be_one_object(void **state _unused_) {
        static const char *const claims[] = { "[]",
                                              "1",
                                              "{\"a\":1",
                                              "{\"a\":1,\"a\":2}",
                                              "{\"a\":1} {}",
                                              "{}x",
                                              "{\"a\":\"\\u0000\"}",
                                              "{\"a\":\"\xff\"}" };
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
        for (size_t i = 0; i < ELEMENTSOF(claims); i++) {
                _cleanup_free_ char *token = forge(key, "{\"alg\":\"ES256\"}", claims[i]);
                assert_int_equal(verdict(token, key), -EBADMSG);
        }
}

static void test_sign_and_verify(void **state _unused_) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
        _cleanup_(json_decrefp) json_t *header = json_pack("{s:s, s:s}", "typ", "JWT", "alg", "none");
        _cleanup_(json_decrefp) json_t *claims =
                        json_pack("{s:s, s:I}", "iss", "d\xc3\xa9vice", "iat", (json_int_t) 1700000000);
        /* Often enough that an r or s with a leading zero byte (1 of 128) comes up. */
        for (int i = 0; i < 600; i++) {
                _cleanup_(json_decrefp) json_t *got = NULL;
                _cleanup_free_ char *token = NULL;
                assert_int_equal(jws_sign(key, header, claims, &token), 0);
                assert_int_equal(jws_verify(token, key, &got), 0);
                assert_true(json_equal(got, claims));
                if (i == 0)
                        assert_int_equal(verdict(token, other), -EKEYREJECTED);
        }
}

static void test_sign_refuses(void **state _unused_) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *p384 = EVP_EC_gen("P-384"), *key = EVP_EC_gen("P-256"),
                                           *public = a3_key();
        _cleanup_(json_decrefp) json_t *claims = json_object(), *array = json_array();
        char *token = NULL;
        assert_int_equal(jws_sign(p384, NULL, claims, &token), -EINVAL);
        assert_int_equal(jws_sign(NULL, NULL, claims, &token), -EINVAL);
        assert_int_equal(jws_sign(public, NULL, claims, &token), -EINVAL);
        assert_int_equal(jws_sign(key, NULL, array, &token), -EINVAL);
        assert_int_equal(jws_sign(key, array, claims, &token), -EINVAL);
        assert_null(token);

        char large[JWS_TOKEN_MAX + 1];
        memset(large, 'x', sizeof(large) - 1);
        large[sizeof(large) - 1] = '\0';
        json_object_set_new(claims, "x", json_string(large));
        assert_int_equal(jws_sign(key, NULL, claims, &token), -E2BIG);
        assert_int_equal(verdict(large, key), -EBADMSG);
        char larger[JWS_TOKEN_MAX + 2];
        memset(larger, 'x', sizeof(larger) - 1);
        larger[sizeof(larger) - 1] = '\0';
        assert_int_equal(verdict(larger, key), -E2BIG);
        assert_int_equal(verdict(A3_HEADER "." A3_CLAIMS "." A3_SIGNATURE, p384), -EINVAL);
}

static void test_jwk_round_trip(void **state _unused_) {
        for (int i = 0; i < 300; i++) {
                _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256"), *back = NULL;
                _cleanup_(json_decrefp) json_t *jwk = NULL;
                assert_int_equal(jwk_from_key(key, &jwk), 0);
                assert_int_equal(json_object_size(jwk), 4);
                assert_int_equal(jwk_to_key(jwk, &back), 0);
                assert_int_equal(EVP_PKEY_eq(key, back), 1);
        }
}

static void test_point_of_a_compressed_key(void **state _unused_) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_EC_gen("P-256"), *back = NULL;
        uint8_t point[P256_POINT_SIZE], again[P256_POINT_SIZE] = {};

        assert_int_equal(p256_to_point(key, point), 0);
        assert_int_equal(EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                                        OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED),
                         1);
        assert_int_equal(p256_to_point(key, again), 0);
        assert_memory_equal(again, point, sizeof(point));
        assert_int_equal(p256_from_point(point, &back), 0);
        assert_int_equal(EVP_PKEY_eq(key, back), 1);
}

static int jwk_verdict(const char *kty, const char *crv, const char *x, const char *y, bool with_private) {
        _cleanup_(json_decrefp) json_t *jwk =
                        json_pack("{s:s, s:s, s:s, s:s*}", "kty", kty, "crv", crv, "x", x, "y", y);
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        if (with_private)
                json_object_set_new(jwk, "d", json_string(A3_X));
        int r = jwk_to_key(jwk, &key);
        assert_true((r >= 0) == (key != NULL));
        return r;
}

static void test_jwk_refuses(void **state _unused_) {
        assert_int_equal(jwk_verdict("EC", "P-256", A3_X, A3_Y, false), 0);
        assert_int_equal(jwk_verdict("EC", "P-256", A3_X, A3_Y, true), -EBADMSG);
        assert_int_equal(jwk_verdict("RSA", "P-256", A3_X, A3_Y, false), -EBADMSG);
        assert_int_equal(jwk_verdict("EC", "P-384", A3_X, A3_Y, false), -EBADMSG);
        assert_int_equal(jwk_verdict("EC", "P-256", A3_X, NULL, false), -EBADMSG);
        assert_int_equal(jwk_verdict("EC", "P-256", A3_X, A3_Y "=", false), -EBADMSG);
        assert_int_equal(jwk_verdict("EC", "P-256", A3_X, "AA" A3_Y, false), -EBADMSG);
        assert_int_equal(jwk_verdict("EC", "P-256", A3_X, A3_X, false), -EBADMSG); /* not on the curve */
        assert_int_equal(jwk_verdict("EC", "P-256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false),
                         -EBADMSG);
        assert_int_equal(jwk_verdict("EC", "P-256", "__________________________________________8",
                                     "__________________________________________8", false),
                         -EBADMSG); /* over the field's prime */

        _cleanup_(json_decrefp) json_t *array = json_array();
        EVP_PKEY *key = NULL;
        assert_int_equal(jwk_to_key(array, &key), -EBADMSG);
        assert_int_equal(jwk_to_key(NULL, &key), -EBADMSG);

        uint8_t compressed[P256_POINT_SIZE] = { 0x02 };
        assert_int_equal(p256_from_point(compressed, &key), -EBADMSG);
        assert_null(key);

        _cleanup_(EVP_PKEY_freep) EVP_PKEY *p384 = EVP_EC_gen("P-384");
        json_t *jwk = NULL;
        assert_int_equal(jwk_from_key(p384, &jwk), -EINVAL);
        assert_null(jwk);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_base64url_vectors),
                cmocka_unit_test(test_base64url_is_strict),
                cmocka_unit_test(test_rfc7515_a3),
                cmocka_unit_test(test_every_changed_character_is_refused),
                cmocka_unit_test(test_cut_and_padded),
                cmocka_unit_test(test_other_algorithms_are_refused),
                cmocka_unit_test(test_claims_must_be_one_object),
                cmocka_unit_test(test_sign_and_verify),
                cmocka_unit_test(test_sign_refuses),
                cmocka_unit_test(test_jwk_round_trip),
                cmocka_unit_test(test_point_of_a_compressed_key),
                cmocka_unit_test(test_jwk_refuses),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
