/* SPDX-License-Identifier: Apache-2.0 */
#include "upload.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "http-url.h"
#include "log.h"
#include "text.h"

/* A segment of the greatest size at 0.5 Mbit/s. */
#define UPLOAD_TIMEOUT    UINT64_C(300000000)
#define ANSWER_MAX        (64U * 1024U)
#define S3_ERROR_CODE_MAX 40U

struct Upload {
        Segment *segment;
        HttpRequest *request;
        void *body; /* the segment, mapped for reading */
        size_t body_size;
        char host[300]; /* host:port */
        UploadDone done;
        void *userdata;
};

static int result_set(UploadResult *result, int error, unsigned status, const char *format, ...)
                _printf_(4, 5);

static int result_set(UploadResult *result, int error, unsigned status, const char *format, ...) {
        char text[sizeof(result->text)];
        va_list arguments;

        *result = (UploadResult){ .error = error, .http_status = status };
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        text_sanitize(result->text, sizeof(result->text), text);
        return error;
}

static Upload *upload_free(Upload *upload) {
        if (!upload)
                return NULL;
        upload->segment->upload = NULL;
        http_request_free(upload->request);
        if (upload->body)
                munmap(upload->body, upload->body_size);
        free(upload);
        return NULL;
}

void upload_cancel(Segment *segment) {
        upload_free(segment->upload);
}

/* Those of docs/api.md (POST …/segments). By another the control plane could have the object published,
 * encrypted with a key that the bucket's owner does not have, or another's copy put in its place. */
static bool header_allowed(const struct wire_header *header) {
        static const char own[] = "x-amz-meta-streamsight-";
        static const char *const allowed[] = { "content-type",
                                               "content-md5",
                                               "if-none-match",
                                               "x-amz-content-sha256",
                                               "x-amz-checksum-sha256",
                                               "x-amz-server-side-encryption",
                                               "x-amz-server-side-encryption-aws-kms-key-id" };

        if (strcasecmp(header->name, "x-amz-acl") == 0)
                return strcmp(header->value, "bucket-owner-full-control") == 0;
        for (size_t i = 0; i < ELEMENTSOF(allowed); i++)
                if (strcasecmp(header->name, allowed[i]) == 0)
                        return true;
        return strncasecmp(header->name, own, strlen(own)) == 0;
}

static int check_message(const struct wire_broker_upload *message, HttpHeader headers[WIRE_HEADERS_MAX],
                         UploadResult *ret) {
        if (!wire_string_ok(message->url, sizeof(message->url)) || message->n_headers > WIRE_HEADERS_MAX ||
            message->n_addresses > WIRE_ADDRESSES_MAX)
                return result_set(ret, -EINVAL, 0, "the order to upload is malformed");
        if (message->n_addresses == 0)
                return result_set(ret, -EHOSTUNREACH, 0, "the bucket's host has no address: check the DNS");
        for (uint32_t i = 0; i < message->n_headers; i++) {
                const struct wire_header *header = &message->headers[i];
                if (!wire_string_ok(header->name, sizeof(header->name)) ||
                    !wire_string_ok(header->value, sizeof(header->value)) || !header_allowed(header))
                        return result_set(ret, -EINVAL, 0,
                                          "the order to upload has a header that may not be sent");
                headers[i] = (HttpHeader){ header->name, header->value };
        }
        for (uint32_t i = 0; i < message->n_addresses; i++)
                if (message->addresses[i].family != AF_INET && message->addresses[i].family != AF_INET6)
                        return result_set(ret, -EINVAL, 0,
                                          "the order to upload has an unknown kind of address");
        return 0;
}

/* The administrator's word on where recordings may go. */
static int check_pin(const Settings *settings, const char *url, char *ret_host, size_t size,
                     UploadResult *ret) {
        _cleanup_free_ char *host = NULL;
        uint16_t port;

        int r = http_url_parse(url, &host, &port);
        if (r == -ENOMEM)
                return result_set(ret, r, 0, "out of memory");
        if (r < 0)
                return result_set(ret, -EACCES, 0,
                                  "the control plane gave an upload URL that is not plain https: refused");
        if (!http_url_pinned(settings->bucket_hosts, url))
                return result_set(ret, -EACCES, 0,
                                  "%s %.100s:%u is not pinned: if it is the organisation's, add it to "
                                  "Hosts= in [Bucket] of agent.conf",
                                  http_host_pinned(settings->bucket_hosts, host, port)
                                                  ? "this bucket of host"
                                                  : "bucket host",
                                  host, port);
        snprintf(ret_host, size, "%.255s:%u", host, port);
        return 0;
}

/* <Code> of S3's error document, the word that its manuals explain; "" if it does not look like one. */
static void s3_error_code(const char *body, char ret[S3_ERROR_CODE_MAX + 1]) {
        const char *code = strstr(body, "<Code>");

        ret[0] = '\0';
        if (!code)
                return;
        code += strlen("<Code>");
        size_t n = strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.");
        if (n <= S3_ERROR_CODE_MAX && strncmp(code + n, "</Code>", strlen("</Code>")) == 0) {
                memcpy(ret, code, n);
                ret[n] = '\0';
        }
}

static const char *status_advice(unsigned status) {
        if (status >= 300 && status < 400)
                return "redirects are not followed: check the bucket's endpoint and region in the control plane";
        if (status == 400 || status == 411)
                return "the bucket does not understand the upload: check that it is an S3 endpoint";
        if (status == 401 || status == 403)
                return "check this machine's clock, and that the bucket's key may write";
        if (status == 404)
                return "check the bucket's name in the control plane";
        if (status == 409)
                return "another upload of it is under way; it will be tried again";
        if (status == 429 || status >= 500)
                return "the bucket is busy or broken; it will be tried again";
        return "check the bucket";
}

static void judge(const Upload *upload, const HttpResult *http, UploadResult *ret) {
        char code[S3_ERROR_CODE_MAX + 1];

        if (http->error < 0)
                result_set(ret, http->error, 0, "upload to %.100s failed: %.120s", upload->host, http->text);
        /* The key holds the content's hash: 412 says that this very object is already there. */
        else if (http->status == 200 || http->status == 412)
                result_set(ret, 0, http->status, "%s", "");
        else {
                s3_error_code(http->body, code);
                result_set(ret, http->status == 401 || http->status == 403 ? -EPERM : -EPROTO, http->status,
                           "%.80s answered HTTP %u%s%s: %s", upload->host, http->status, code[0] ? " " : "",
                           code, status_advice(http->status));
        }
}

static void on_done(HttpRequest *request _unused_, const HttpResult *http, void *userdata) {
        Upload *upload = userdata;
        Segment *segment = upload->segment;
        UploadDone done = upload->done;
        void *done_userdata = upload->userdata;
        UploadResult result;

        judge(upload, http, &result);
        upload_free(upload);
        done(segment, &result, done_userdata);
}

int upload_start(Uploadd *uploadd, Segment *segment, const struct wire_broker_upload *message,
                 UploadDone done, void *userdata, UploadResult *ret) {
        HttpHeader headers[WIRE_HEADERS_MAX];
        char host[300];
        int r;

        r = check_message(message, headers, ret);
        if (r >= 0)
                r = check_pin(&uploadd->settings, message->url, host, sizeof(host), ret);
        if (r < 0)
                return r;

        Upload *upload = calloc(1, sizeof(*upload));
        if (!upload)
                return result_set(ret, -ENOMEM, 0, "out of memory");
        *upload = (Upload){ .segment = segment,
                            .done = done,
                            .userdata = userdata,
                            .body_size = (size_t) segment->ready.size };
        memcpy(upload->host, host, sizeof(host));
        segment->upload = upload;

        void *body = mmap(NULL, upload->body_size, PROT_READ, MAP_PRIVATE, segment->fd, 0);
        if (body == MAP_FAILED) {
                r = -errno;
                upload_free(upload);
                return result_set(ret, r, 0, "the finished segment cannot be mapped: %s", strerror(-r));
        }
        upload->body = body;
        const HttpOptions options = {
                .method = "PUT",
                .url = message->url,
                .headers = headers,
                .n_headers = message->n_headers,
                .body = body,
                .body_size = upload->body_size,
                .expect_continue = true,
                .addresses = message->addresses,
                .n_addresses = message->n_addresses,
                .body_max = ANSWER_MAX,
                .timeout = UPLOAD_TIMEOUT,
        };
        r = http_request_new(&upload->request, uploadd->http, &options, on_done, upload);
        if (r < 0) {
                upload_free(upload);
                return result_set(ret, r, 0, "the upload cannot be started: %s", strerror(-r));
        }
        return 0;
}
