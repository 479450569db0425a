/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <seccomp.h>
#include <string.h>
#include <sys/wait.h>

#include "http.h"
#include "tls-server.h"

static char folder[] = "/tmp/streamsight-http-XXXXXX";
static char certificate[64], other_certificate[64];
static TlsServer *server, *other;
static uint16_t port, other_port;

typedef struct Fixture {
        sd_event *event;
        HttpClient *client;
        int done;
        int error;
        unsigned status;
        uint64_t retry_after;
        char text[512], etag[64];
        char *body;
} Fixture;

static void on_done(HttpRequest *request, const HttpResult *result, void *userdata) {
        Fixture *f = userdata;
        f->done++;
        f->error = result->error;
        f->status = result->status;
        f->retry_after = result->retry_after;
        snprintf(f->text, sizeof(f->text), "%s", result->error ? result->text : "");
        snprintf(f->etag, sizeof(f->etag), "%s", http_request_header(request, "ETag") ?: "");
        free(f->body);
        f->body = strdup(result->body);
        assert_int_equal(strlen(result->body), result->body_size > 200000 ? 0 : result->body_size);
        http_request_free(request);
}

static int open_client(Fixture *f, const char *ca) {
        *f = (Fixture){};
        assert_return_code(sd_event_new(&f->event), 0);
        return http_client_new(&f->client, f->event, ca, "streamsight-test/1");
}

static void close_client(Fixture *f) {
        f->client = http_client_free(f->client);
        f->event = sd_event_unref(f->event);
        free(f->body);
        f->body = NULL;
}

static const struct wire_address loopback = { .family = AF_INET, .address = { 127, 0, 0, 1 } };
static const struct wire_address elsewhere[] = {
        { .family = AF_INET, .address = { 127, 0, 0, 2 } },
        { .family = AF_INET6, .address = { [15] = 1 } },
};

static void url_of(char *url, size_t size, const char *host, uint16_t to, const char *path) {
        snprintf(url, size, "https://%s:%u%s", host, to, path);
}

static void perform(Fixture *f, const HttpOptions *options) {
        HttpRequest *request;
        f->done = 0;
        assert_return_code(http_request_new(&request, f->client, options, on_done, f), 0);
        assert_int_equal(f->done, 0);
        for (int i = 0; i < 100 && !f->done; i++)
                assert_return_code(sd_event_run(f->event, 10000000), 0);
        assert_int_equal(f->done, 1);
}

static void get(Fixture *f, const char *host, uint16_t to, const char *path) {
        char url[256];
        url_of(url, sizeof(url), host, to, path);
        perform(f, &(HttpOptions){ .method = "GET", .url = url, .addresses = &loopback, .n_addresses = 1 });
}

static void contains(const char *text, const char *part) {
        if (!strcasestr(text, part))
                fail_msg("\"%s\" does not hold \"%s\"", text, part);
}

static void lacks(const char *text, const char *part) {
        if (strcasestr(text, part))
                fail_msg("\"%s\" holds \"%s\"", text, part);
}

static void test_sends_what_it_is_told_and_no_more(void **state _unused_) {
        Fixture f;
        char url[256];
        const HttpHeader headers[] = { { "X-One", "1 2" }, { "X-Empty", "" } };

        setenv("https_proxy", "http://127.0.0.1:1", 1);
        setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
        assert_return_code(open_client(&f, certificate), 0);
        url_of(url, sizeof(url), "bucket.test", port, "/echo/../a%2Fb?x=%20y");
        perform(&f, &(HttpOptions){ .method = "GET",
                                    .url = url,
                                    .headers = headers,
                                    .n_headers = 2,
                                    .addresses = &loopback,
                                    .n_addresses = 1 });
        unsetenv("https_proxy");
        unsetenv("ALL_PROXY");
        assert_int_equal(f.error, 0);
        assert_int_equal(f.status, 200);
        contains(f.body, "GET /echo/../a%2Fb?x=%20y HTTP/1.1\r\n");
        contains(f.body, "\r\nX-One: 1 2\r\n");
        contains(f.body, "\r\nX-Empty:\r\n");
        contains(f.body, "\r\nUser-Agent: streamsight-test/1\r\n");
        lacks(f.body, "expect:");
        lacks(f.body, "content-type");
        lacks(f.body, "accept-encoding");
        close_client(&f);
}

static void test_puts_a_large_body_on_one_connection(void **state _unused_) {
        static uint8_t body[5 * 1024 * 1024];
        unsigned before = tls_server_connections(server);
        const HttpHeader type = { "Content-Type", "application/x-test" };
        Fixture f;
        char url[256];

        assert_return_code(open_client(&f, certificate), 0);
        url_of(url, sizeof(url), "bucket.test", port, "/echo");
        for (int i = 0; i < 3; i++) {
                perform(&f, &(HttpOptions){ .method = "PUT",
                                            .url = url,
                                            .headers = &type,
                                            .n_headers = 1,
                                            .body = body,
                                            .body_size = sizeof(body),
                                            .expect_continue = i < 2,
                                            .addresses = &loopback,
                                            .n_addresses = 1 });
                assert_int_equal(f.status, 200);
                contains(f.body, "PUT /echo HTTP/1.1\r\n");
                contains(f.body, "\r\nContent-Length: 5242880\r\n");
                contains(f.body, "\r\nContent-Type: application/x-test\r\n");
                contains(f.body, "body: 5242880\n");
                (i < 2 ? contains : lacks)(f.body, "expect: 100-continue");
        }
        assert_int_equal(tls_server_connections(server), before + 1);
        close_client(&f);
}

static void test_connects_to_no_other_address(void **state _unused_) {
        Fixture f;
        char url[256];

        assert_return_code(open_client(&f, certificate), 0);
        url_of(url, sizeof(url), "127.0.0.1", port, "/echo");
        perform(&f, &(HttpOptions){ .method = "GET", .url = url, .addresses = elsewhere, .n_addresses = 2 });
        assert_int_equal(f.error, -EACCES);
        contains(f.text, "none of the allowed addresses");

        get(&f, "127.0.0.1", port, "/echo");
        assert_int_equal(f.status, 200);
        close_client(&f);
}

static void test_refuses_certificates(void **state _unused_) {
        Fixture f;

        assert_return_code(open_client(&f, other_certificate), 0);
        get(&f, "bucket.test", port, "/echo?secret");
        assert_int_equal(f.error, -EKEYREJECTED);
        lacks(f.text, "secret");
        close_client(&f);

        assert_return_code(open_client(&f, certificate), 0);
        get(&f, "other.test", port, "/echo?secret");
        assert_int_equal(f.error, -EKEYREJECTED);
        contains(f.text, "other.test");
        close_client(&f);
}

static void test_refuses_old_tls(void **state _unused_) {
        char path[80];
        uint16_t old_port;
        Fixture f;

        snprintf(path, sizeof(path), "%s/old.pem", folder);
        TlsServer *old = tls_server_start(path, TLS1_1_VERSION, &old_port);
        assert_return_code(open_client(&f, path), 0);
        get(&f, "bucket.test", old_port, "/echo");
        assert_int_equal(f.error, -EPROTO);
        close_client(&f);
        tls_server_stop(old);
}

static void test_bounds_what_comes_back(void **state _unused_) {
        Fixture f;
        char url[256];

        assert_return_code(open_client(&f, certificate), 0);
        get(&f, "bucket.test", port, "/large");
        assert_int_equal(f.error, -EFBIG);
        url_of(url, sizeof(url), "bucket.test", port, "/large");
        perform(&f, &(HttpOptions){ .method = "GET",
                                    .url = url,
                                    .addresses = &loopback,
                                    .n_addresses = 1,
                                    .body_max = 300 * 1024 });
        assert_int_equal(f.error, 0);
        close_client(&f);
}

static void test_statuses_are_answers(void **state _unused_) {
        Fixture f;

        assert_return_code(open_client(&f, certificate), 0);
        get(&f, "bucket.test", port, "/redirect");
        assert_int_equal(f.status, 302);
        get(&f, "bucket.test", port, "/retry");
        assert_int_equal(f.status, 503);
        assert_int_equal(f.retry_after, 7000000);
        assert_string_equal(f.etag, "\"abc\"");
        assert_string_equal(f.body, "later");
        close_client(&f);
}

static void test_failures_say_what_failed(void **state _unused_) {
        Fixture f;
        char url[256];

        assert_return_code(open_client(&f, certificate), 0);
        get(&f, "bucket.test", port, "/close?secret");
        assert_int_equal(f.error, -ECONNRESET);
        lacks(f.text, "secret");
        url_of(url, sizeof(url), "bucket.test", port, "/silent?secret");
        perform(&f, &(HttpOptions){ .method = "GET",
                                    .url = url,
                                    .addresses = &loopback,
                                    .n_addresses = 1,
                                    .timeout = 300000 });
        assert_int_equal(f.error, -ETIMEDOUT);
        lacks(f.text, "secret");
        get(&f, "bucket.test", 1, "/echo?secret");
        assert_int_equal(f.error, -ECONNREFUSED);
        lacks(f.text, "secret");
        close_client(&f);
}

static void test_a_freed_request_is_silent(void **state _unused_) {
        Fixture f;
        HttpRequest *request;
        char url[256];

        assert_return_code(open_client(&f, certificate), 0);
        url_of(url, sizeof(url), "bucket.test", port, "/echo");
        const HttpOptions options = {
                .method = "GET", .url = url, .addresses = &loopback, .n_addresses = 1
        };
        for (int steps = 0; steps < 6; steps++) {
                assert_return_code(http_request_new(&request, f.client, &options, on_done, &f), 0);
                for (int i = 0; i < steps && !f.done; i++)
                        sd_event_run(f.event, 100000);
                if (!f.done)
                        http_request_free(request);
                f.done = 0;
        }
        get(&f, "bucket.test", port, "/echo");
        assert_int_equal(f.status, 200);
        close_client(&f);
}

/* libcurl ends each request in time, unless its loop does not run: so it does not here. */
static void test_a_request_that_does_not_end_is_noticed(void **state _unused_) {
        HttpRequest *request;
        char url[256];
        Fixture f;

        assert_return_code(open_client(&f, certificate), 0);
        url_of(url, sizeof(url), "bucket.test", port, "/silent");
        const HttpOptions options = {
                .method = "GET", .url = url, .addresses = &loopback, .n_addresses = 1, .timeout = 50000
        };
        assert_return_code(http_request_new(&request, f.client, &options, on_done, &f), 0);
        assert_false(http_client_stuck(f.client, 60000000));
        usleep(100000);
        assert_true(http_client_stuck(f.client, 1000));
        assert_false(http_client_stuck(f.client, 60000000));
        while (!f.done)
                assert_return_code(sd_event_run(f.event, UINT64_MAX), 0);
        assert_false(http_client_stuck(f.client, 1000));
        close_client(&f);
}

static void test_refuses_what_cannot_be_sent(void **state _unused_) {
        const HttpOptions wrong[] = {
                { .method = "GET", .url = "http://bucket.test/" },
                { .method = "GET", .url = "file:///etc/passwd" },
                { .method = "GET", .url = "https://user:password@bucket.test/" },
                { .method = "GET", .url = "https://bucket.test/\r\nX: y" },
                { .method = "GET /", .url = "https://bucket.test/" },
                { .method = "", .url = "https://bucket.test/" },
                { .method = "GET",
                  .url = "https://bucket.test/",
                  .headers = &(const HttpHeader){ "X", "a\r\nY: b" },
                  .n_headers = 1 },
                { .method = "GET",
                  .url = "https://bucket.test/",
                  .headers = &(const HttpHeader){ "X: a\r\nY", "b" },
                  .n_headers = 1 },
                { .method = "GET",
                  .url = "https://bucket.test/",
                  .addresses = &(const struct wire_address){ .family = AF_UNIX },
                  .n_addresses = 1 },
        };
        HttpRequest *request;
        Fixture f;

        assert_return_code(open_client(&f, certificate), 0);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_int_equal(http_request_new(&request, f.client, &wrong[i], on_done, &f), -EINVAL);
        close_client(&f);
}

static void test_needs_certificates(void **state _unused_) {
        Fixture f;
        assert_int_equal(open_client(&f, "/dev/null"), -ENODATA);
        close_client(&f);
        assert_int_equal(open_client(&f, "/nowhere"), -ENOENT);
        close_client(&f);
}

/* What http.h promises about a sandbox: opening, starting threads and starting programs all kill. */
static void test_works_without_files_threads_and_resolver(void **state _unused_) {
        static const char *const forbidden[] = {
                "open",   "openat",   "openat2", "clone",      "clone3", "fork",     "vfork",
                "execve", "execveat", "stat",    "newfstatat", "access", "readlink",
        };
        static uint8_t body[2 * 1024 * 1024];
        char url[256];
        int status;

        pid_t child = fork();
        if (child == 0) {
                Fixture f;
                bool ok = open_client(&f, certificate) >= 0;
                scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
                for (size_t i = 0; i < ELEMENTSOF(forbidden); i++)
                        ok = ok && seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS,
                                                    seccomp_syscall_resolve_name(forbidden[i]), 0) == 0;
                ok = ok && seccomp_load(filter) == 0;
                url_of(url, sizeof(url), "bucket.test", port, "/echo");
                for (int i = 0; ok && i < 2; i++) {
                        perform(&f, &(HttpOptions){ .method = "PUT",
                                                    .url = url,
                                                    .body = body,
                                                    .body_size = sizeof(body),
                                                    .expect_continue = true,
                                                    .addresses = &loopback,
                                                    .n_addresses = 1 });
                        ok = f.status == 200;
                }
                get(&f, "other.test", port, "/echo");
                ok = ok && f.error == -EKEYREJECTED;
                get(&f, "bucket.test", 1, "/echo");
                ok = ok && f.error == -ECONNREFUSED;
                _exit(ok ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_urls(void **state _unused_) {
        static const struct {
                const char *url, *host;
                uint16_t port;
        } good[] = {
                { "https://s3.example.org/a?b", "s3.example.org", 443 },
                { "HTTPS://S3.Example.ORG:9000", "s3.example.org", 9000 },
                { "https://[::1]:9000/x", "[::1]", 9000 },
                { "https://127.0.0.1/", "127.0.0.1", 443 },
                { "https://0x7f.1/", "127.0.0.1", 443 },
                { "https://s3%2eexample.org/", "s3.example.org", 443 },
        };
        static const char *const bad[] = {
                "",
                "https://",
                "https:///x",
                "http://s3.example.org/",
                "ftp://s3.example.org/",
                "https://a@s3.example.org/",
                "https://a:b@s3.example.org/",
                "https://s3.example.org:0/",
                "https://s3.example.org:65536/",
                "https://s3.example.org/#part",
                "https://s3.example.org\\@other.example.org/",
                "https://s3.example.org /",
                "https://s3.example.org/\n",
                "https://s3.example.org/\"",
                "https://s3.example.org/\xc3\xa4",
                "https://s3.ex\xc3\xa4mple.org/",
                "https://s3.example.org:80:80/",
        };
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_free_ char *host = NULL;
                uint16_t number;
                assert_int_equal(http_url_parse(good[i].url, &host, &number), 0);
                assert_string_equal(host, good[i].host);
                assert_int_equal(number, good[i].port);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char *host;
                uint16_t number;
                if (http_url_parse(bad[i], &host, &number) != -EINVAL)
                        fail_msg("\"%s\" was taken", bad[i]);
        }
}

static void test_pins(void **state _unused_) {
        char *pins[] = { (char *) "S3.example.org", (char *) "s3.example.org:9000", (char *) "[::1]:7480",
                         NULL };

        assert_true(http_host_pinned(pins, "s3.example.org", 443));
        assert_true(http_host_pinned(pins, "s3.example.org", 9000));
        assert_true(http_host_pinned(pins, "[::1]", 7480));
        assert_false(http_host_pinned(pins, "s3.example.org", 9001));
        assert_false(http_host_pinned(pins, "s3.example.org.", 443));
        assert_false(http_host_pinned(pins, "x.s3.example.org", 443));
        assert_false(http_host_pinned(pins, "example.org", 443));
        assert_false(http_host_pinned(pins, "[::1]", 443));
        assert_false(http_host_pinned(pins, "", 443));
        assert_false(http_host_pinned(NULL, "s3.example.org", 443));
}

static void test_pinned_paths(void **state _unused_) {
        char *pins[] = { (char *) "S3.example.org/bucket", (char *) "s3.example.org:9000/a/b/",
                         (char *) "whole.example.org/", NULL };
        static const char *const good[] = {
                "https://s3.example.org/bucket/object",
                "https://S3.EXAMPLE.org:443/bucket/object?X-Amz-Signature=%2e%2e/..",
                "https://s3.example.org/bucket/Gr%C3%B6%C3%9Fe/.x/..y/z...",
                "https://s3.example.org:9000/a/b/c",
                "https://whole.example.org/",
                "https://whole.example.org/x//../%2f",
        };
        static const char *const bad[] = {
                "https://s3.example.org",
                "https://s3.example.org/",
                "https://s3.example.org/bucket",
                "https://s3.example.org/bucket/",
                "https://s3.example.org/bucket?/bucket/object",
                "https://s3.example.org/Bucket/object",
                "https://s3.example.org/buckets/object",
                "https://s3.example.org/another/bucket/object",
                "https://s3.example.org//bucket/object",
                "https://s3.example.org/bucket//object",
                "https://s3.example.org/bucket/../another/object",
                "https://s3.example.org/bucket/./object",
                "https://s3.example.org/another/../bucket/object",
                "https://s3.example.org/bucket/..",
                "https://s3.example.org/bucket/.%2e/another/object",
                "https://s3.example.org/bucket/%2E%2E/another/object",
                "https://s3.example.org/bucket/..%2Fanother/object",
                "https://s3.example.org/bucket/..%5canother/object",
                "https://s3.example.org/bucket/%252e%252e/another/object",
                "https://s3.example.org/bucket/..;/another/object",
                "https://s3.example.org/bucket/..%3B/another/object",
                "https://s3.example.org/bucket/%00",
                "https://s3.example.org/bucket/%1f",
                "https://s3.example.org/bucket/%7F",
                "https://s3.example.org/bucket/%",
                "https://s3.example.org/bucket/%2",
                "https://s3.example.org/bucket/%g0",
                "https://s3.example.org/%62ucket/object",
                "https://s3.example.org:9000/bucket/object",
                "https://s3.example.org:9001/bucket/object",
                "https://s3.example.org:9000/a/bc",
                "https://x.s3.example.org/bucket/object",
                "http://s3.example.org/bucket/object",
                "https://whole.example.org:9000/",
        };
        static const struct {
                const char *pin;
                int result;
                uint16_t port;
        } pin[] = {
                { "s3.example.org", 0, 443 },
                { "s3.example.org:9000/bucket/", 0, 9000 },
                { "[::1]:1/bucket/a%20b", 0, 1 },
                { "s3.example.org//", 0, 443 },
                { "s3.example.org//b", -EINVAL, 0 },
                { "s3.example.org/b//c", -EINVAL, 0 },
                { "s3.example.org/..", -EINVAL, 0 },
                { "s3.example.org/b?c", -EINVAL, 0 },
                { "s3.example.org/b#c", -EINVAL, 0 },
                { "s3.example.org/b%2fc", -EINVAL, 0 },
                { "a@s3.example.org/b", -EINVAL, 0 },
                { "https://s3.example.org/b", -EINVAL, 0 },
                { "/bucket", -EINVAL, 0 },
                { "", -EINVAL, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (!http_url_pinned(pins, good[i]))
                        fail_msg("\"%s\" was refused", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (http_url_pinned(pins, bad[i]))
                        fail_msg("\"%s\" was taken", bad[i]);
        assert_false(http_url_pinned(NULL, good[0]));
        assert_true(http_host_pinned(pins, "s3.example.org", 443));
        assert_true(http_host_pinned(pins, "s3.example.org", 9000));
        assert_false(http_host_pinned(pins, "s3.example.org", 9001));
        for (size_t i = 0; i < ELEMENTSOF(pin); i++) {
                uint16_t number = 0;
                if (http_pin_parse(pin[i].pin, &number) != pin[i].result ||
                    (pin[i].result == 0 && number != pin[i].port))
                        fail_msg("the pin \"%s\"", pin[i].pin);
        }
}

static int start(void **state _unused_) {
        if (!mkdtemp(folder))
                return -1;
        snprintf(certificate, sizeof(certificate), "%s/ca.pem", folder);
        snprintf(other_certificate, sizeof(other_certificate), "%s/other.pem", folder);
        server = tls_server_start(certificate, 0, &port);
        other = tls_server_start(other_certificate, 0, &other_port);
        return 0;
}

static int stop(void **state _unused_) {
        char command[80];
        tls_server_stop(server);
        tls_server_stop(other);
        snprintf(command, sizeof(command), "rm -r '%s'", folder);
        return system(command);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_urls),
                cmocka_unit_test(test_pins),
                cmocka_unit_test(test_pinned_paths),
                cmocka_unit_test(test_sends_what_it_is_told_and_no_more),
                cmocka_unit_test(test_puts_a_large_body_on_one_connection),
                cmocka_unit_test(test_connects_to_no_other_address),
                cmocka_unit_test(test_refuses_certificates),
                cmocka_unit_test(test_refuses_old_tls),
                cmocka_unit_test(test_bounds_what_comes_back),
                cmocka_unit_test(test_statuses_are_answers),
                cmocka_unit_test(test_failures_say_what_failed),
                cmocka_unit_test(test_a_freed_request_is_silent),
                cmocka_unit_test(test_a_request_that_does_not_end_is_noticed),
                cmocka_unit_test(test_refuses_what_cannot_be_sent),
                cmocka_unit_test(test_needs_certificates),
                cmocka_unit_test(test_works_without_files_threads_and_resolver),
        };
        return cmocka_run_group_tests(tests, start, stop);
}
