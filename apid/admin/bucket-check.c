/* SPDX-License-Identifier: Apache-2.0 */

/* Tries on a company's real bucket what its key must be able to do and what it must not. Nothing here could
 * do harm where it is let through: what is deleted and published is the object that was put for it. */

#include <jansson.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "admin.h"
#include "http.h"
#include "sigv4.h"
#include "text.h"
#include "value.h"

#define URL_SECONDS     60U
#define BODY_SIZE       32U
#define CONNECT_SECONDS 10
#define FOUND_SIZE      200
#define CODE_MAX        100 /* bytes of the server's word; S3's own are shorter */

typedef struct Check {
        Admin *admin;
        const PGresult *row;
        char secret[SECRET_PLAIN_MAX + 1];
        char *host, *http_host; /* as in the Host header */
        char *path, *outside;   /* of the object, and of one that is not under the prefix */
        char *name;             /* the object's, without the bucket's */
        char body[BODY_SIZE + 1], sha256[65], md5[25];
        sd_event *event;
        HttpClient *http;
        HttpResult result;
        bool done, deleted;
        json_t *lines;
        unsigned n_wrong;
} Check;

static const char *column(const Check *check, const char *name) {
        return PQgetvalue(check->row, 0, PQfnumber(check->row, name));
}

static char *sign(const Check *check, const char *method, const char *host, const char *path,
                  const char *query, const HttpHeader *headers, size_t n_headers) {
        SigV4Header signed_headers[SIGV4_HEADERS_MAX];
        char *url;

        for (size_t i = 0; i < n_headers; i++)
                signed_headers[i] = (SigV4Header){ headers[i].name, headers[i].value };
        SigV4Request what = { .method = method,
                              .host = host,
                              .path = path,
                              .query = query,
                              .region = column(check, "region"),
                              .access_key_id = column(check, "access_key_id"),
                              .secret_key = check->secret,
                              .time = time(NULL),
                              .expires = URL_SECONDS,
                              .headers = signed_headers,
                              .n_headers = n_headers };
        return sigv4_presign(&what, &url) < 0 ? NULL : url;
}

static void on_done(HttpRequest *request _unused_, const HttpResult *result, void *userdata) {
        Check *check = userdata;

        check->result = *result;
        check->done = true;
}

/* An HTTP status; a negative errno if there was no answer, with what is wrong in what. */
static int request(Check *check, const char *method, const char *url, const HttpHeader *headers,
                   size_t n_headers, const char *body, HttpRequest **ret) {
        int r;

        check->done = false;
        r = http_request_new(ret, check->http,
                             &(HttpOptions){ .method = method,
                                             .url = url,
                                             .headers = headers,
                                             .n_headers = n_headers,
                                             .body = body,
                                             .body_size = body ? strlen(body) : 0 },
                             on_done, check);
        while (r >= 0 && !check->done)
                r = sd_event_run(check->event, UINT64_MAX);
        if (r < 0)
                return r;
        return check->result.error < 0 ? check->result.error : (int) check->result.status;
}

/* Does as the key may: signs everything that it sends. */
static int try(Check *check, const char *method, const char *path, const char *query,
               const HttpHeader *headers, size_t n_headers, const char *body, HttpRequest **ret) {
        _cleanup_free_ char *url = sign(check, method, check->host, path, query, headers, n_headers);

        return url ? request(check, method, url, headers, n_headers, body, ret) : -ENOMEM;
}

static int report(Check *check, const char *what, bool good, const char *found) {
        check->n_wrong += !good;
        if (check->admin->json)
                return json_array_append_new(check->lines, json_pack("{s:s, s:s, s:b}", "what", what,
                                                                     "found", found, "good", good)) < 0
                                       ? -ENOMEM
                                       : 0;
        printf("%-6s  %-44s  %s\n", good ? "good" : "WRONG", what, found);
        return 0;
}

/* What came of it, in the server's own word if it has one. That is the tenant's server, and whoever reads
 * it is root at a terminal. */
static void describe(const Check *check, int status, const char *more, char ret[static FOUND_SIZE]) {
        const char *code = status > 0 && check->result.body ? strstr(check->result.body, "<Code>") : NULL;
        int length = code ? (int) strcspn(code + 6, "<") : 0;
        char text[FOUND_SIZE];

        if (status < 0)
                snprintf(text, sizeof(text), "no answer: %s", check->result.text ?: strerror(-status));
        else
                snprintf(text, sizeof(text), "%s (%d%s%.*s)%s", status < 300 ? "done" : "refused", status,
                         code ? " " : "", length < CODE_MAX ? length : CODE_MAX, code ? code + 6 : "", more);
        text_sanitize(ret, FOUND_SIZE, text);
}

typedef struct Probe {
        const char *what, *method;
        const char *query;
        HttpHeader header; /* beside what every upload has */
        unsigned wanted;   /* the status; 0: refused for want of the right, 403 */
        bool outside;      /* not under the prefix */
        bool other;        /* another object */
} Probe;

#define EVERYBODY "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\""

static const Probe probes[] = {
        { "put", "PUT", .wanted = 200 },
        { "get", "GET", .wanted = 200 },
        { "put again: what is there stays", "PUT", .wanted = 412 },
        { "list", "GET", .query = "list-type=2" },
        { "list versions", "GET", .query = "versions=" },
        { "list uploads", "GET", .query = "uploads=" },
        { "read the bucket's policy", "GET", .query = "policy=" },
        { "publish by ACL", "PUT", .query = "acl=", .header = { "x-amz-acl", "public-read" } },
        { "put, public by ACL", "PUT", .header = { "x-amz-acl", "public-read" }, .other = true },
        { "put, for everybody with an account", "PUT", .header = { "x-amz-acl", "authenticated-read" },
          .other = true },
        { "put, granting read", "PUT", .header = { "x-amz-grant-read", EVERYBODY }, .other = true },
        { "put, granting write", "PUT", .header = { "x-amz-grant-write", EVERYBODY }, .other = true },
        { "put, granting to read the ACL", "PUT", .header = { "x-amz-grant-read-acp", EVERYBODY },
          .other = true },
        { "put, granting to write the ACL", "PUT", .header = { "x-amz-grant-write-acp", EVERYBODY },
          .other = true },
        { "put, granting everything", "PUT", .header = { "x-amz-grant-full-control", EVERYBODY },
          .other = true },
        { "copy", "PUT", .header = { "x-amz-copy-source", "" }, .other = true },
        { "put outside the prefix", "PUT", .outside = true },
        { "delete", "DELETE" },
};

static size_t add(HttpHeader *headers, size_t n, const char *name, const char *value) {
        headers[n] = (HttpHeader){ name, value };
        return n + 1;
}

/* The headers of an upload as apid signs them, and the probe's own. */
static size_t upload_headers(const Check *check, const Probe *probe, HttpHeader *ret) {
        const char *sse = column(check, "sse"), *key_id = column(check, "sse_kms_key_id");
        const char *own = probe->header.name;
        size_t n = 0;

        n = add(ret, n, "content-type", "text/plain");
        n = add(ret, n, "content-md5", check->md5);
        n = add(ret, n, "x-amz-content-sha256", check->sha256);
        n = add(ret, n, "if-none-match", "*");
        /* An ACL and grants exclude each other. */
        if (!own || strstr(own, "copy"))
                n = add(ret, n, "x-amz-acl", "bucket-owner-full-control");
        if (sse[0])
                n = add(ret, n, "x-amz-server-side-encryption", sse);
        if (key_id[0])
                n = add(ret, n, "x-amz-server-side-encryption-aws-kms-key-id", key_id);
        return n;
}

/* As the bucket is set, if it is: there are servers that take the header and do nothing. */
static bool is_encrypted(const Check *check, HttpRequest *answer) {
        const char *sse = column(check, "sse");
        const char *used = http_request_header(answer, "x-amz-server-side-encryption");

        return !sse[0] || (used && strcmp(used, sse) == 0);
}

static bool is_as_wanted(const Check *check, const Probe *probe, int status, HttpRequest *answer) {
        if (probe->wanted == 0)
                return status == 403;
        if (status != (int) probe->wanted)
                return false;
        if (strcmp(probe->method, "GET") == 0)
                return strcmp(check->result.body, check->body) == 0;
        return status != 200 || is_encrypted(check, answer);
}

static int run_probe(Check *check, const Probe *probe) {
        _cleanup_(http_request_freep) HttpRequest *answer = NULL;
        _cleanup_free_ char *path = NULL, *source = NULL;
        HttpHeader headers[16];
        size_t n = 0;
        char found[FOUND_SIZE];
        bool on_bucket = probe->query && strcmp(probe->query, "acl=") != 0;

        if (probe->outside && column(check, "prefix")[0] == '\0')
                return 0;
        const char *base = probe->outside ? check->outside : check->path;
        if (asprintf(&path, "%.*s%s",
                     on_bucket ? (int) (strlen(base) - strlen(check->name)) : (int) strlen(base), base,
                     probe->other ? "-other" : "") < 0 ||
            asprintf(&source, "/%s/%s", column(check, "bucket"), check->name) < 0)
                return -ENOMEM;
        bool puts = strcmp(probe->method, "PUT") == 0 && !probe->query;
        if (puts)
                n = upload_headers(check, probe, headers);
        if (probe->header.name)
                n = add(headers, n, probe->header.name,
                        probe->header.value[0] ? probe->header.value : source);
        const char *body = puts && !(probe->header.name && strstr(probe->header.name, "copy")) ? check->body
                                                                                               : NULL;
        int status = try(check, probe->method, path, probe->query, headers, n, body, &answer);
        if (status < 0 && check->result.error == 0)
                return status;
        check->deleted = status >= 200 && status < 300 && strcmp(probe->method, "DELETE") == 0;
        bool plain = status == 200 && puts && !is_encrypted(check, answer);
        describe(check, status, plain ? ", and did not encrypt it" : "", found);
        return report(check, probe->what, is_as_wanted(check, probe, status, answer), found);
}

static int probe_without_key(Check *check) {
        _cleanup_(http_request_freep) HttpRequest *answer = NULL;
        _cleanup_free_ char *url = NULL;
        char found[FOUND_SIZE];

        if (asprintf(&url, "https://%s%s", check->host, check->path) < 0) {
                url = NULL;
                return -ENOMEM;
        }
        int status = request(check, "GET", url, NULL, 0, NULL, &answer);
        if (status < 0 && check->result.error == 0)
                return status;
        describe(check, status, "", found);
        return report(check, "get without a key", status == 403, found);
}

static int connect_plainly(const char *host, const char *port) {
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
        const struct timeval patience = { .tv_sec = CONNECT_SECONDS };
        struct addrinfo *found;
        int fd = -1;

        if (getaddrinfo(host, port, &hints, &found) != 0)
                return -EHOSTUNREACH;
        for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
                fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
                if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
                                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
                                connect(fd, a->ai_addr, a->ai_addrlen) < 0))
                        safe_close(TAKE_FD(fd));
        }
        freeaddrinfo(found);
        return fd >= 0 ? fd : -ECONNREFUSED;
}

/* common/web speaks TLS alone, so this is said by hand. */
static int probe_plain_http(Check *check) {
        _cleanup_free_ char *url = sign(check, "GET", check->http_host, check->path, NULL, NULL, 0);
        _cleanup_free_ char *host = strdup(check->http_host), *text = NULL;
        const char *what = "get by plain HTTP";
        char answer[64] = "", found[FOUND_SIZE];

        if (!url || !host)
                return -ENOMEM;
        char *port = strchr(host, ':');
        if (port)
                *port++ = '\0';
        if (asprintf(&text, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                     url + strlen("https://") + strlen(check->http_host), check->http_host) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        _cleanup_close_ int fd = connect_plainly(host, port ?: "80");
        if (fd < 0)
                return report(check, what, true, "refused (nothing listens)");
        if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 ||
            recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) <= 0 || strncmp(answer, "HTTP/1.", 7) != 0)
                return report(check, what, true, "refused (no answer in HTTP)");
        unsigned long status = strtoul(answer + strcspn(answer, " "), NULL, 10);
        snprintf(found, sizeof(found), "%s (%lu)", status < 300 ? "done" : "not done", status);
        /* A redirection to https is none of the content either, but the URL has been sent in the clear by
         * whoever follows it: that is the client's, and ours does not. */
        return report(check, what, status >= 300, found);
}

static int make_content(Check *check) {
        uint8_t random[BODY_SIZE / 2], digest[32];

        if (RAND_bytes(random, sizeof(random)) != 1)
                return -EIO;
        value_format_hex(random, sizeof(random), check->body);
        if (EVP_Digest(check->body, BODY_SIZE, digest, NULL, EVP_sha256(), NULL) != 1)
                return -EIO;
        value_format_hex(digest, sizeof(digest), check->sha256);
        if (EVP_Digest(check->body, BODY_SIZE, digest, NULL, EVP_md5(), NULL) != 1)
                return -EIO;
        EVP_EncodeBlock((unsigned char *) check->md5, digest, 16);
        return 0;
}

static int name_things(Check *check) {
        const char *endpoint = column(check, "endpoint") + strlen("https://"),
                   *bucket = column(check, "bucket");
        const char *prefix = column(check, "prefix"), *port = check->admin->options[OPTION_HTTP_PORT];
        bool path_style = strcmp(column(check, "path_style"), "t") == 0;
        const char *in_host = path_style ? "" : bucket, *dot = path_style ? "" : ".";
        const char *slash = path_style ? "/" : "", *in_path = path_style ? bucket : "";
        int bare = (int) strcspn(endpoint, ":");

        if (asprintf(&check->host, "%s%s%s", in_host, dot, endpoint) < 0 ||
            asprintf(&check->http_host, "%s%s%.*s%s%s", in_host, dot, bare, endpoint, port ? ":" : "",
                     port ?: "") < 0 ||
            asprintf(&check->name, "%s%scheck/%s", prefix, prefix[0] ? "/" : "", check->body) < 0 ||
            asprintf(&check->path, "%s%s/%s", slash, in_path, check->name) < 0 ||
            asprintf(&check->outside, "%s%s/streamsight-check-%s", slash, in_path, check->body) < 0)
                return -ENOMEM;
        return 0;
}

static int find_bucket(Admin *admin, PGresult **ret) {
        const char *const parameters[] = { admin->options[OPTION_COMPANY] };
        int r;

        r = admin_query(admin,
                        "SELECT id, endpoint, region, bucket, prefix, path_style, coalesce(sse, '') AS sse,"
                        " coalesce(sse_kms_key_id, '') AS sse_kms_key_id, access_key_id, secret"
                        " FROM streamsight.bucket WHERE company_id = $1 AND current",
                        parameters, ELEMENTSOF(parameters), ret);
        if (r >= 0 && PQntuples(*ret) == 0)
                r = admin_fail(ENOENT, "Company %s has no bucket: set one with streamsight-admin bucket set",
                               parameters[0]);
        return r;
}

static int open_secret(Check *check) {
        MasterKeys keys = {};
        _cleanup_free_ char *error = NULL;
        size_t size;
        int r;

        r = settings_read_master_keys(&check->admin->settings, &keys, &error);
        if (r < 0)
                return admin_fail(r, "%s", error ?: "Out of memory");
        unsigned char *stored = PQunescapeBytea((const unsigned char *) column(check, "secret"), &size);
        r = stored ? secret_open(&keys, column(check, "id"), stored, size, check->secret) : -ENOMEM;
        PQfreemem(stored);
        OPENSSL_cleanse(&keys, sizeof(keys));
        return r < 0 ? admin_fail(r,
                                  "The bucket's secret key cannot be decrypted with any of the master keys")
                     : 0;
}

static int run_probes(Check *check) {
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(probes) && r >= 0; i++) {
                r = run_probe(check, &probes[i]);
                /* Without an object of ours the rest would show nothing. */
                if (i == 0 && check->n_wrong > 0)
                        return 0;
                /* While it is there. */
                if (r >= 0 && i == 1 && (r = probe_without_key(check)) >= 0)
                        r = probe_plain_http(check);
        }
        return r;
}

static int conclude(Check *check) {
        if (check->admin->json) {
                json_t *all = json_pack("{s:O, s:s, s:b}", "checks", check->lines, "object", check->name,
                                        "good", check->n_wrong == 0);
                if (!all)
                        return admin_fail(ENOMEM, "Out of memory");
                json_dumpf(all, stdout, JSON_INDENT(2));
                putchar('\n');
                json_decref(all);
        } else if (!check->deleted)
                printf("\nThe object %s of %u bytes stays in the bucket: the key cannot delete it.\n",
                       check->name, BODY_SIZE);
        return check->n_wrong == 0
                               ? 0
                               : admin_fail(EPERM,
                                            "%u of this is not as it must be: see policy/bucket/README.md",
                                            check->n_wrong);
}

static void check_done(Check *check) {
        http_client_free(check->http);
        sd_event_unref(check->event);
        OPENSSL_cleanse(check->secret, sizeof(check->secret));
        free(check->host);
        free(check->http_host);
        free(check->path);
        free(check->outside);
        free(check->name);
        json_decref(check->lines);
}

int command_bucket_check(Admin *admin) {
        _cleanup_(check_done) Check check = { .admin = admin, .lines = json_array() };
        _cleanup_(PQclearp) PGresult *row = NULL;
        const char *ca = admin->options[OPTION_CA_FILE];
        int r;

        if ((r = admin_check_uuid("--company", admin->options[OPTION_COMPANY])) < 0 ||
            (admin->options[OPTION_HTTP_PORT] &&
             (r = admin_check_uint("--http-port", admin->options[OPTION_HTTP_PORT], 65535)) < 0) ||
            (r = find_bucket(admin, &row)) < 0)
                return r;
        check.row = row;
        if ((r = open_secret(&check)) < 0)
                return r;
        if ((r = make_content(&check)) < 0 || (r = name_things(&check)) < 0 ||
            (r = sd_event_new(&check.event)) < 0)
                return admin_fail(r, "%s", strerror(-r));
        r = http_client_new(&check.http, check.event, ca, "streamsight-admin/" STREAMSIGHT_VERSION);
        if (r < 0)
                return admin_fail(r, "%s: %s", ca ?: HTTP_CA_FILE_DEFAULT, strerror(-r));
        r = run_probes(&check);
        if (r < 0)
                return admin_fail(r, "The check could not be finished: %s", strerror(-r));
        return conclude(&check);
}
