/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>

#include "sigv4.h"

/* The example of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html */
static const SigV4Request example = {
        .method = "GET",
        .host = "examplebucket.s3.amazonaws.com",
        .path = "/test.txt",
        .region = "us-east-1",
        .access_key_id = "AKIAIOSFODNN7EXAMPLE",
        .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        .time = 1369353600, /* 2013-05-24T00:00:00Z */
        .expires = 86400,
};

static void test_documented_example(void **state _unused_) {
        _cleanup_free_ char *url = NULL;
        assert_int_equal(sigv4_presign(&example, &url), 0);
        assert_string_equal(
                        url,
                        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
                        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static const char *signature_of(const SigV4Request *request) {
        static char signature[65];
        _cleanup_free_ char *url = NULL;
        assert_int_equal(sigv4_presign(request, &url), 0);
        snprintf(signature, sizeof(signature), "%s", strstr(url, "X-Amz-Signature=") + 16);
        return signature;
}

/* Everything that matters changes the signature. */
static void test_all_of_it_is_signed(void **state _unused_) {
        const SigV4Header a[] = { { "x-a", "1" }, { "x-b", "2" } }, b[] = { { "x-b", "2" }, { "x-a", "3" } };
        SigV4Request variants[] = { example, example, example, example, example, example,
                                    example, example, example, example, example };
        char signatures[ELEMENTSOF(variants)][65];

        variants[1].method = "PUT";
        variants[2].host = "other.s3.amazonaws.com";
        variants[3].path = "/test.txt/";
        variants[4].region = "us-east-2";
        variants[5].access_key_id = "AKIAIOSFODNN7EXAMPLF";
        variants[6].secret_key = "other";
        variants[7].time++;
        variants[8].expires--;
        variants[9].headers = a;
        variants[9].n_headers = 2;
        variants[10].headers = b;
        variants[10].n_headers = 2;
        for (size_t i = 0; i < ELEMENTSOF(variants); i++) {
                strcpy(signatures[i], signature_of(&variants[i]));
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(signatures[i], signatures[j]);
        }
}

/* The port that clients leave out of Host. */
static void test_the_usual_port(void **state _unused_) {
        SigV4Request with_port = example, another = example;
        char host[64];

        snprintf(host, sizeof(host), "%s:443", example.host);
        with_port.host = host;
        _cleanup_free_ char *url = NULL, *url_with_port = NULL, *url_another = NULL;
        assert_int_equal(sigv4_presign(&example, &url), 0);
        assert_int_equal(sigv4_presign(&with_port, &url_with_port), 0);
        assert_string_equal(url_with_port, url);
        another.host = "examplebucket.s3.amazonaws.com:4430";
        assert_int_equal(sigv4_presign(&another, &url_another), 0);
        assert_memory_equal(url_another, "https://examplebucket.s3.amazonaws.com:4430/", 44);
}

static void test_order_and_spaces_do_not_matter(void **state _unused_) {
        const SigV4Header a[] = { { "x-a", "one two" }, { "x-b", "2" } },
                          b[] = { { "x-b", "  2 " }, { "x-a", " one   two" } };
        SigV4Request first = example, second = example;
        char signature[65];

        first.headers = a;
        second.headers = b;
        first.n_headers = second.n_headers = 2;
        strcpy(signature, signature_of(&first));
        assert_string_equal(signature_of(&second), signature);
}

static void test_refuses_what_cannot_be_signed(void **state _unused_) {
        static const SigV4Header bad[] = { { "X-A", "1" },         { "x a", "1" },        { "", "1" },
                                           { "x-a", "1\r\nx: y" }, { "x-a", "\xc3\xa9" }, { "host", "h" },
                                           { "x-a", "\t" } };
        SigV4Header many[SIGV4_HEADERS_MAX + 1];
        char names[SIGV4_HEADERS_MAX + 1][8];
        SigV4Request request = example;
        char *url = NULL;

        request.n_headers = 1;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                request.headers = &bad[i];
                assert_int_equal(sigv4_presign(&request, &url), -EINVAL);
        }
        const SigV4Header twice[] = { { "x-a", "1" }, { "x-b", "1" }, { "x-a", "2" } };
        request.headers = twice;
        request.n_headers = 3;
        assert_int_equal(sigv4_presign(&request, &url), -EINVAL);

        for (size_t i = 0; i < ELEMENTSOF(many); i++) {
                snprintf(names[i], sizeof(names[i]), "x-%zu", i);
                many[i] = (SigV4Header){ names[i], "v" };
        }
        request.headers = many;
        request.n_headers = ELEMENTSOF(many);
        assert_int_equal(sigv4_presign(&request, &url), -E2BIG);
        request.n_headers--;
        assert_int_equal(sigv4_presign(&request, &url), 0);
        free(url);
        url = NULL;

        request = example;
        request.path = "test.txt";
        assert_int_equal(sigv4_presign(&request, &url), -EINVAL);
        request = example;
        request.expires = 604801;
        assert_int_equal(sigv4_presign(&request, &url), -EINVAL);
        request.expires = 0;
        assert_int_equal(sigv4_presign(&request, &url), -EINVAL);
        char secret[300] = {};
        memset(secret, 'x', sizeof(secret) - 1);
        request = example;
        request.secret_key = secret;
        assert_int_equal(sigv4_presign(&request, &url), -EINVAL);
        assert_null(url);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_documented_example),
                cmocka_unit_test(test_all_of_it_is_signed),
                cmocka_unit_test(test_the_usual_port),
                cmocka_unit_test(test_order_and_spaces_do_not_matter),
                cmocka_unit_test(test_refuses_what_cannot_be_signed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
