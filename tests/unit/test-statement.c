/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <openssl/ec.h>
#include <string.h>

#include "statement.h"

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const SegmentStatement segment = {
        .device = "11111111-1111-4111-8111-111111111111",
        .recording = "22222222-2222-4222-8222-222222222222",
        .sequence = 99999999,
        .final = true,
        .sha256 = HASH_A,
        .previous_sha256 = HASH_B,
        .size = 16777216,
        .started_at = "2030-01-31T10:00:00.000000Z",
        .ended_at = "2030-01-31T10:00:59.999999Z",
};

static EVP_PKEY *new_key(void) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        assert_non_null(key);
        return key;
}

static void test_segment(void **state _unused_) {
        EVP_PKEY *key = new_key(), *read_key = NULL;
        SegmentStatement read;
        char *text = NULL;

        assert_int_equal(segment_statement_sign(key, &segment, &text), 0);
        assert_true(strlen(text) <= STATEMENT_MAX); /* at its longest */
        assert_int_equal(segment_statement_verify(text, &read, &read_key), 0);
        assert_int_equal(EVP_PKEY_eq(key, read_key), 1);
        assert_string_equal(read.device, segment.device);
        assert_string_equal(read.recording, segment.recording);
        assert_int_equal(read.sequence, segment.sequence);
        assert_true(read.final);
        assert_string_equal(read.sha256, segment.sha256);
        assert_string_equal(read.previous_sha256, segment.previous_sha256);
        assert_int_equal(read.size, segment.size);
        assert_string_equal(read.started_at, segment.started_at);
        assert_string_equal(read.ended_at, segment.ended_at);
        EVP_PKEY_free(read_key);
        free(text);
        EVP_PKEY_free(key);
}

/* The bytes that are signed are the same each time. */
static void test_canonical(void **state _unused_) {
        static const char claims[] =
                        "{\"device\":\"11111111-1111-4111-8111-111111111111\",\"ended_at\":"
                        "\"2030-01-31T10:00:59.999999Z\",\"final\":true,\"previous_sha256\":\"" HASH_B
                        "\",\"recording\":\"22222222-2222-4222-8222-222222222222\",\"sequence\":99999999,"
                        "\"sha256\":\"" HASH_A
                        "\",\"size\":16777216,\"started_at\":"
                        "\"2030-01-31T10:00:00.000000Z\"}";
        EVP_PKEY *key = new_key();
        char *text = NULL, *encoded = NULL;

        assert_int_equal(segment_statement_sign(key, &segment, &text), 0);
        assert_int_equal(base64url_encode(claims, strlen(claims), &encoded), 0);
        const char *signed_claims = strchr(text, '.') + 1;
        assert_memory_equal(signed_claims, encoded, strlen(encoded));
        assert_int_equal(signed_claims[strlen(encoded)], '.');
        free(encoded);
        free(text);
        EVP_PKEY_free(key);
}

/* Each bit of it counts. */
static void test_altered(void **state _unused_) {
        EVP_PKEY *key = new_key();
        char *text = NULL;

        assert_int_equal(segment_statement_sign(key, &segment, &text), 0);
        for (size_t i = 0; text[i]; i++) {
                EVP_PKEY *read_key = NULL;
                SegmentStatement read;
                char before = text[i];
                text[i] = before == 'A' ? 'B' : 'A';
                int r = segment_statement_verify(text, &read, &read_key);
                /* The key's own bytes in the header may become another key's: then the signature is wrong.
                 */
                assert_true(r == -EBADMSG || r == -EKEYREJECTED);
                text[i] = before;
        }
        free(text);
        EVP_PKEY_free(key);
}

static void test_one_kind_is_not_the_other(void **state _unused_) {
        RecordingStatement recording = { .device = "11111111-1111-4111-8111-111111111111",
                                         .recording = "22222222-2222-4222-8222-222222222222",
                                         .segments = 100000000,
                                         .ended_at = "2030-01-31T10:00:00.000000Z",
                                         .reason = "stopped" },
                           read_recording;
        EVP_PKEY *key = new_key(), *read_key = NULL;
        SegmentStatement read;
        char *text = NULL;

        assert_int_equal(recording_statement_sign(key, &recording, &text), 0);
        assert_int_equal(segment_statement_verify(text, &read, &read_key), -EBADMSG);
        assert_int_equal(recording_statement_verify(text, &read_recording, &read_key), 0);
        assert_int_equal(read_recording.segments, 100000000);
        assert_string_equal(read_recording.reason, "stopped");
        EVP_PKEY_free(read_key);
        free(text);
        text = NULL;
        assert_int_equal(segment_statement_sign(key, &segment, &text), 0);
        assert_int_equal(recording_statement_verify(text, &read_recording, &read_key), -EBADMSG);
        free(text);
        EVP_PKEY_free(key);
}

static void test_what_is_not_signed(void **state _unused_) {
        SegmentStatement bad[8];
        EVP_PKEY *key = new_key();
        char *text = NULL;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                bad[i] = segment;
        strcpy(bad[0].device, "X");
        strcpy(bad[1].recording, "11111111-1111-4111-8111-11111111111X");
        bad[2].sequence = STATEMENT_SEQUENCE_MAX + 1;
        strcpy(bad[3].sha256, "aa");
        bad[4].previous_sha256[0] = '\0';
        bad[5].sequence = 0; /* has none before */
        bad[6].size = 0;
        strcpy(bad[7].ended_at, "now");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(segment_statement_sign(key, &bad[i], &text), -EINVAL);
        EVP_PKEY_free(key);
}

static int verify_as(EVP_PKEY *key, const char *type, const char *more, const char *device,
                     const char *recording, const char *started_at) {
        json_t *jwk = NULL, *header, *claims;
        EVP_PKEY *read_key = NULL;
        SegmentStatement read;
        char *text = NULL;

        assert_int_equal(jwk_from_key(key, &jwk), 0);
        header = json_pack("{s:o, s:s}", "jwk", jwk, "typ", type);
        claims = json_pack("{s:s, s:s, s:b, s:n, s:s, s:i, s:s, s:i, s:s}", "device", device, "ended_at",
                           segment.ended_at, "final", 0, "previous_sha256", "recording", recording,
                           "sequence", 0, "sha256", HASH_A, "size", 1, "started_at", started_at);
        if (more)
                assert_int_equal(json_object_set_new(claims, more, json_true()), 0);
        assert_int_equal(jws_sign(key, header, claims, &text), 0);
        int r = segment_statement_verify(text, &read, &read_key);
        EVP_PKEY_free(read_key);
        free(text);
        json_decref(header);
        json_decref(claims);
        return r;
}

static int verify_from(EVP_PKEY *key, const char *device, const char *recording, const char *started_at) {
        return verify_as(key, "streamsight-segment+jwt", NULL, device, recording, started_at);
}

/* Whoever signs with a key of their own may say anything. */
static void test_what_is_not_read(void **state _unused_) {
        static const char *const ids[] = {
                "------------------------------------", "1111-1111-4111-8111-1111-1111-1111-1",
                "0000000--0000-4000-8000-000000000000", "AAAAAAAA-0000-4000-8000-000000000000",
                "00000000-0000-4000-8000-00000000000",  ""
        };
        static const char *const times[] = { "2030-01-31T10:00:00.000-00Z", "2030-02-31T10:00:00Z",
                                             "          T        Z" };
        EVP_PKEY *key = new_key();

        assert_int_equal(verify_from(key, segment.device, segment.recording, segment.started_at), 0);
        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                assert_int_equal(verify_from(key, ids[i], segment.recording, segment.started_at), -EBADMSG);
                assert_int_equal(verify_from(key, segment.device, ids[i], segment.started_at), -EBADMSG);
        }
        assert_int_equal(verify_as(key, "streamsight-recording+jwt", NULL, segment.device, segment.recording,
                                   segment.started_at),
                         -EBADMSG);
        assert_int_equal(verify_as(key, "streamsight-segment+jwt", "more", segment.device, segment.recording,
                                   segment.started_at),
                         -EBADMSG);
        for (size_t i = 0; i < ELEMENTSOF(times); i++)
                assert_int_equal(verify_from(key, segment.device, segment.recording, times[i]), -EBADMSG);
        EVP_PKEY_free(key);
}

/* The key of RFC 7515 A.3, whose thumbprint was computed with
 * sha256sum over its three-member form of RFC 7638 §3. */
static void test_thumbprint(void **state _unused_) {
        json_t *jwk = json_pack("{s:s, s:s, s:s, s:s}", "x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                                "y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "kty", "EC", "crv",
                                "P-256");
        char thumbprint[THUMBPRINT_SIZE];
        EVP_PKEY *key = NULL;

        assert_int_equal(jwk_to_key(jwk, &key), 0);
        assert_int_equal(jwk_thumbprint(key, thumbprint), 0);
        assert_string_equal(thumbprint, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
        EVP_PKEY_free(key);
        json_decref(jwk);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_segment),
                cmocka_unit_test(test_canonical),
                cmocka_unit_test(test_altered),
                cmocka_unit_test(test_one_kind_is_not_the_other),
                cmocka_unit_test(test_what_is_not_signed),
                cmocka_unit_test(test_what_is_not_read),
                cmocka_unit_test(test_thumbprint),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
