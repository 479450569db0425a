/* SPDX-License-Identifier: Apache-2.0 */

#include "verify-bucket.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "http.h"
#include "segment.h"
#include "sigv4.h"
#include "text.h"
#include "verify-credentials.h"
#include "verify.h"

#define LISTING_MAX      (8U << 20) /* bytes of an answer with 1000 names */
#define OBJECT_NAME_MAX  1024U      /* S3's limit */
#define URL_SECONDS      300U
#define TIMEOUT          UINT64_C(300000000)
#define EXPLANATION_SIZE 300

typedef struct Session {
        const VerifyBucket *bucket;
        Judge *judge;
        Credentials credentials;
        char *host;
        sd_event *event;
        HttpClient *http;
        bool done;
} Session;

static void on_done(HttpRequest *request _unused_, const HttpResult *result _unused_, void *userdata) {
        Session *session = userdata;

        session->done = true;
}

typedef struct Fetched {
        HttpRequest *request;
        HttpResult result;
} Fetched;

static void on_fetched(HttpRequest *request, const HttpResult *result, void *userdata) {
        void **pair = userdata;

        *(HttpResult *) pair[1] = *result;
        on_done(request, result, pair[0]);
}

/* GET of the bucket (key "") or an object. ret->request is the caller's to free, ret->result lives as long.
 */
static int fetch(Session *session, const char *key, const char *query, size_t body_max, Fetched *ret) {
        const VerifyBucket *bucket = session->bucket;
        _cleanup_free_ char *path = NULL, *url = NULL;
        Fetched fetched = {};
        void *pair[] = { session, &fetched.result };
        int r;

        if (asprintf(&path, "%s%s/%s", bucket->virtual_hosted ? "" : "/",
                     bucket->virtual_hosted ? "" : bucket->bucket, key) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        const char *token = session->credentials.session_token;
        r = sigv4_presign(&(SigV4Request){ .method = "GET",
                                           .host = session->host,
                                           .path = path,
                                           .query = query,
                                           .region = bucket->region,
                                           .access_key_id = session->credentials.access_key_id,
                                           .secret_key = session->credentials.secret_key,
                                           .session_token = token[0] ? token : NULL,
                                           .time = time(NULL),
                                           .expires = URL_SECONDS },
                          &url);
        if (r < 0)
                return r;
        session->done = false;
        r = http_request_new(&fetched.request, session->http,
                             &(HttpOptions){ .method = "GET",
                                             .url = url,
                                             .body_max = body_max,
                                             .timeout = TIMEOUT },
                             on_fetched, pair);
        while (r >= 0 && !session->done)
                r = sd_event_run(session->event, UINT64_MAX);
        if (r < 0) {
                http_request_free(fetched.request);
                return r;
        }
        *ret = fetched;
        return 0;
}

/* What S3 says of an error, in the words of its manuals; if it says anything else, as no more than words. */
static void explain(const HttpResult *result, char ret[static EXPLANATION_SIZE]) {
        const char *code = result->body ? strstr(result->body, "<Code>") : NULL;
        char text[EXPLANATION_SIZE];

        if (result->error < 0)
                snprintf(text, sizeof(text), "%s", result->text);
        else
                snprintf(text, sizeof(text), "the server answers %u %.*s", result->status,
                         code ? (int) strcspn(code + 6, "<") : 0, code ? code + 6 : "");
        text_sanitize(ret, EXPLANATION_SIZE, text);
}

static int hex_digit(char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                      : -1;
}

/* A name as encoding-type=url has it. -EBADMSG. */
static int decode_name(const char *text, size_t length, char ret[static OBJECT_NAME_MAX + 1]) {
        size_t n = 0;

        for (size_t i = 0; i < length; i++) {
                char c = text[i];
                if (n == OBJECT_NAME_MAX)
                        return -EBADMSG;
                if (c == '+')
                        c = ' ';
                else if (c == '%') {
                        int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
                        int low = i + 2 < length + 0 ? hex_digit(text[i + 2]) : -1;
                        if (high < 0 || low < 0 || (high == 0 && low == 0))
                                return -EBADMSG;
                        c = (char) (high << 4 | low);
                        i += 2;
                }
                ret[n++] = c;
        }
        ret[n] = '\0';
        return n > 0 ? 0 : -EBADMSG;
}

static int write_file(int folder, const char *name, const void *data, size_t size) {
        _cleanup_close_ int fd =
                        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0)
                return -errno;
        for (const char *p = data; size > 0;) {
                ssize_t n = write(fd, p, size);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        p += n;
                        size -= (size_t) n;
                }
        }
        return 0;
}

/* Opens folder/part/part, making what is not there; *name is left at the last part. */
static int open_folders(const char *folder, char *path, char **ret_name) {
        _cleanup_close_ int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *part = path, *slash;

        if (at < 0)
                return -errno;
        for (; (slash = strchr(part, '/')); part = slash + 1) {
                *slash = '\0';
                if (!part[0] || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
                        return -EBADMSG;
                if (mkdirat(at, part, 0700) < 0 && errno != EEXIST)
                        return -errno;
                int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (next < 0)
                        return -errno;
                close(at);
                at = next;
        }
        if (!part[0] || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
                return -EBADMSG;
        *ret_name = part;
        return TAKE_FD(at);
}

/* The object and its statement, under the object's own name below the folder. */
static int save(Session *session, const char *key, const HttpResult *result, const char *statement) {
        _cleanup_free_ char *path = strdup(key), *beside = NULL;
        char *name = NULL;
        int r;

        if (!path)
                return -ENOMEM;
        _cleanup_close_ int folder = open_folders(session->bucket->save, path, &name);
        if (folder < 0)
                r = folder;
        else
                r = write_file(folder, name, result->body, result->body_size);
        if (r >= 0 && statement) {
                if (asprintf(&beside, "%s.jws", name) < 0) {
                        beside = NULL;
                        return -ENOMEM;
                }
                r = write_file(folder, beside, statement, strlen(statement));
        }
        if (r < 0)
                verify_message("%s cannot be saved in %s: %s", key, session->bucket->save, strerror(-r));
        return r;
}

static int take_object(Session *session, const char *key) {
        Fetched fetched;
        char why[EXPLANATION_SIZE];
        int r;

        r = fetch(session, key, NULL, SEGMENT_SIZE_MAX, &fetched);
        if (r < 0)
                return r;
        _cleanup_(http_request_freep) HttpRequest *request = fetched.request;
        if (fetched.result.error == -EFBIG) {
                judge_unreadable(session->judge, key, "larger than any segment");
                return 0;
        }
        if (fetched.result.error < 0 || fetched.result.status != 200) {
                explain(&fetched.result, why);
                judge_unreadable(session->judge, key, why);
                return 0;
        }
        const char *statement = http_request_header(request, "x-amz-meta-streamsight-statement");
        if (session->bucket->save) {
                r = save(session, key, &fetched.result, statement);
                if (r < 0)
                        return r;
        }
        return judge_segment(session->judge, key, fetched.result.body, fetched.result.body_size, statement);
}

/* One page of names from after the last. 1: there are more; 0: that was all. */
static int take_page(Session *session, char last[static OBJECT_NAME_MAX + 1]) {
        _cleanup_free_ char *prefix = sigv4_encode(session->bucket->prefix), *after = sigv4_encode(last),
                            *query = NULL;
        char name[OBJECT_NAME_MAX + 1], why[300];
        Fetched fetched;
        int r;

        if (!prefix || !after ||
            asprintf(&query, "encoding-type=url&list-type=2&max-keys=1000&prefix=%s%s%s", prefix,
                     last[0] ? "&start-after=" : "", last[0] ? after : "") < 0) {
                query = NULL;
                return -ENOMEM;
        }
        r = fetch(session, "", query, LISTING_MAX, &fetched);
        if (r < 0)
                return r;
        _cleanup_(http_request_freep) HttpRequest *request = fetched.request;
        if (fetched.result.error < 0 || fetched.result.status != 200) {
                explain(&fetched.result, why);
                verify_message("the bucket cannot be listed: %s", why);
                return -EACCES;
        }
        const char *body = fetched.result.body;
        bool more = strstr(body, "<IsTruncated>true</IsTruncated>"), any = false;
        for (const char *p = body; (p = strstr(p, "<Key>")); any = true) {
                p += strlen("<Key>");
                r = decode_name(p, strcspn(p, "<"), name);
                if (r < 0) {
                        verify_message("the server's list of objects cannot be read");
                        return r;
                }
                r = take_object(session, name);
                if (r < 0)
                        return r;
                strcpy(last, name);
        }
        return more && any;
}

static int session_open(Session *session) {
        const VerifyBucket *bucket = session->bucket;
        int r;

        r = credentials_find(&session->credentials);
        if (r < 0) {
                verify_message("no key for the bucket: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile "
                               "in ~/.aws/credentials");
                return r;
        }
        if (strncmp(bucket->endpoint, "https://", 8) != 0 || !bucket->endpoint[8] ||
            strchr(bucket->endpoint + 8, '/')) {
                verify_message("--endpoint must be https://HOST[:PORT]");
                return -EINVAL;
        }
        if (asprintf(&session->host, "%s%s%s", bucket->virtual_hosted ? bucket->bucket : "",
                     bucket->virtual_hosted ? "." : "", bucket->endpoint + 8) < 0) {
                session->host = NULL;
                return -ENOMEM;
        }
        r = sd_event_new(&session->event);
        if (r >= 0)
                r = http_client_new(&session->http, session->event, bucket->ca_file,
                                    "streamsight-verify/" STREAMSIGHT_VERSION);
        if (r < 0)
                verify_message("%s: %s", bucket->ca_file ?: HTTP_CA_FILE_DEFAULT, strerror(-r));
        return r;
}

int verify_bucket(Judge *judge, const VerifyBucket *bucket) {
        Session session = { .bucket = bucket, .judge = judge };
        char last[OBJECT_NAME_MAX + 1] = "";
        int r;

        r = session_open(&session);
        if (r >= 0)
                do
                        r = take_page(&session, last);
                while (r > 0);
        http_client_free(session.http);
        sd_event_unref(session.event);
        free(session.host);
        OPENSSL_cleanse(&session.credentials, sizeof(session.credentials));
        return r;
}
