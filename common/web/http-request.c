/* SPDX-License-Identifier: Apache-2.0 */

#include <arpa/inet.h>
#include <netinet/in.h>

#include "http-internal.h"
#include "watchdog.h"

#define HTTP_CONNECT_TIMEOUT_MS 15000L
#define HTTP_ADDRESSES_MAX      WIRE_ADDRESSES_MAX
#define HTTP_HEADERS_MAX        64U

struct HttpRequest {
        HttpClient *client; /* NULL once it is done */
        LIST_ENTRY(HttpRequest) running;
        uint64_t deadline; /* watchdog_now() */
        CURL *easy;
        HttpDone done;
        void *userdata;
        struct curl_slist *headers, *resolve;
        struct wire_address addresses[HTTP_ADDRESSES_MAX];
        size_t n_addresses;
        bool address_refused, too_large;
        char *body;
        size_t body_size, body_max;
        char error[CURL_ERROR_SIZE];
        char text[CURL_ERROR_SIZE + 128];
};

/* CURLOPT_WRITEFUNCTION(3) */
static size_t http_receive(char *data, size_t size, size_t n, void *userdata) {
        HttpRequest *request = userdata;
        size_t length = size * n;

        if (length > request->body_max - request->body_size) {
                request->too_large = true;
                return 0;
        }
        char *larger = realloc(request->body, request->body_size + length + 1);
        if (!larger)
                return 0;
        request->body = larger;
        memcpy(larger + request->body_size, data, length);
        request->body_size += length;
        larger[request->body_size] = '\0';
        return length;
}

static bool http_address_equal(const struct wire_address *address, const struct curl_sockaddr *curl) {
        if (curl->family != address->family)
                return false;
        if (curl->family == AF_INET) {
                const struct sockaddr_in *in = (const void *) &curl->addr;
                return memcmp(&in->sin_addr, address->address, sizeof(in->sin_addr)) == 0;
        }
        if (curl->family == AF_INET6) {
                const struct sockaddr_in6 *in6 = (const void *) &curl->addr;
                return memcmp(&in6->sin6_addr, address->address, sizeof(in6->sin6_addr)) == 0;
        }
        return false;
}

/* CURLOPT_OPENSOCKETFUNCTION(3): the last word on where a connection may lead. */
static curl_socket_t http_open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address) {
        HttpRequest *request = userdata;
        bool allowed = request->n_addresses == 0;

        for (size_t i = 0; i < request->n_addresses; i++)
                if (http_address_equal(&request->addresses[i], address)) {
                        if (address->family == AF_INET6)
                                ((struct sockaddr_in6 *) (void *) &address->addr)->sin6_scope_id =
                                                request->addresses[i].scope_id;
                        allowed = true;
                }
        if (purpose != CURLSOCKTYPE_IPCXN || !allowed) {
                request->address_refused = true;
                return CURL_SOCKET_BAD;
        }
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* CURLOPT_RESOLVER_START_FUNCTION(3): with fixed addresses nothing is to be resolved. */
static int http_refuse_resolver(void *state _unused_, void *reserved _unused_, void *userdata) {
        HttpRequest *request = userdata;

        request->address_refused = true;
        return 1;
}

/* RFC 9110 §5.6.2 */
static bool http_is_token(const char *string) {
        return string[0] != '\0' && string[strspn(string,
                                                  "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                  "abcdefghijklmnopqrstuvwxyz")] == '\0';
}

static bool http_is_value(const char *string) {
        for (const char *p = string; *p; p++)
                if ((*p < ' ' && *p != '\t') || *p >= 0x7f)
                        return false;
        return true;
}

static int http_append(struct curl_slist **list, const char *line) {
        struct curl_slist *longer = curl_slist_append(*list, line);

        if (!longer)
                return -ENOMEM;
        *list = longer;
        return 0;
}

static int http_set_headers(HttpRequest *request, const HttpOptions *options) {
        bool has_type = false;
        int r;

        if (options->n_headers > HTTP_HEADERS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < options->n_headers; i++) {
                const HttpHeader *header = &options->headers[i];
                _cleanup_free_ char *line = NULL;

                if (!http_is_token(header->name) || !http_is_value(header->value))
                        return -EINVAL;
                has_type = has_type || strcasecmp(header->name, "Content-Type") == 0;
                /* CURLOPT_HTTPHEADER(3): "Name:" would remove a header, "Name;" is how to send an empty one.
                 */
                if (header->value[0] == '\0' ? asprintf(&line, "%s;", header->name) < 0
                                             : asprintf(&line, "%s: %s", header->name, header->value) < 0)
                        return -ENOMEM;
                r = http_append(&request->headers, line);
                if (r < 0)
                        return r;
        }
        if (!has_type) {
                r = http_append(&request->headers, "Content-Type:");
                if (r < 0)
                        return r;
        }
        return http_append(&request->headers, options->expect_continue ? "Expect: 100-continue" : "Expect:");
}

/* Puts the addresses into libcurl's cache of names (CURLOPT_RESOLVE(3)): "host:port:address,address". */
static int http_set_addresses(HttpRequest *request, const HttpOptions *options, const char *host,
                              uint16_t port) {
        char line[300 + HTTP_ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3)], text[INET6_ADDRSTRLEN];
        struct in_addr unused;
        int n;

        if (options->n_addresses > HTTP_ADDRESSES_MAX || strlen(host) > 255)
                return -E2BIG;
        n = snprintf(line, sizeof(line), "%s:%u:", host, port);
        for (size_t i = 0; i < options->n_addresses; i++) {
                const struct wire_address *address = &options->addresses[i];

                if ((address->family != AF_INET && address->family != AF_INET6) ||
                    !inet_ntop(address->family, address->address, text, sizeof(text)))
                        return -EINVAL;
                n += snprintf(line + n, sizeof(line) - (size_t) n,
                              address->family == AF_INET6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "", text);
                request->addresses[i] = *address;
        }
        request->n_addresses = options->n_addresses;

        /* An address instead of a name is resolved by nobody; only http_open_socket() judges it. */
        if (host[0] == '[' || inet_pton(AF_INET, host, &unused) == 1)
                return 0;
        if (curl_easy_setopt(request->easy, CURLOPT_RESOLVER_START_FUNCTION, http_refuse_resolver) !=
                            CURLE_OK ||
            curl_easy_setopt(request->easy, CURLOPT_RESOLVER_START_DATA, request) != CURLE_OK)
                return -EIO;
        int r = http_append(&request->resolve, line);
        if (r < 0)
                return r;
        return curl_easy_setopt(request->easy, CURLOPT_RESOLVE, request->resolve) == CURLE_OK ? 0 : -EIO;
}

static int http_set_options(HttpRequest *request, const HttpOptions *options) {
        struct curl_blob certificates = {
                .data = request->client->certificates,
                .len = request->client->certificates_size,
                .flags = CURL_BLOB_NOCOPY,
        };
        uint64_t timeout = options->timeout > 0 ? options->timeout : HTTP_TIMEOUT_DEFAULT;
        bool ok = true;

#define SET(option, value) (ok = ok && curl_easy_setopt(request->easy, option, value) == CURLE_OK)
        SET(CURLOPT_URL, options->url);
        SET(CURLOPT_PROTOCOLS_STR, "https");
        SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
        SET(CURLOPT_PATH_AS_IS, 1L);
        SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
        SET(CURLOPT_FOLLOWLOCATION, 0L);
        SET(CURLOPT_PROXY, "");
        SET(CURLOPT_NOPROXY, "*");
        SET(CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
        SET(CURLOPT_NOSIGNAL, 1L);
        /* A request that ends would otherwise wait for its resolver's thread, and with it the loop: for as
         * long as no name server answers. The thread ends by itself. */
        SET(CURLOPT_QUICK_EXIT, 1L);

        SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
        SET(CURLOPT_SSL_VERIFYPEER, 1L);
        SET(CURLOPT_SSL_VERIFYHOST, 2L);
        SET(CURLOPT_CAINFO_BLOB, &certificates);
        /* Else a certificate of the system's folder would be trusted besides. */
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_CAINFO, NULL);

        SET(CURLOPT_CONNECTTIMEOUT_MS, HTTP_CONNECT_TIMEOUT_MS);
        SET(CURLOPT_TIMEOUT_MS, (long) (timeout / 1000));
        SET(CURLOPT_TCP_KEEPALIVE, 1L);
        SET(CURLOPT_USERAGENT, request->client->user_agent);
        SET(CURLOPT_ERRORBUFFER, request->error);
        SET(CURLOPT_WRITEFUNCTION, http_receive);
        SET(CURLOPT_WRITEDATA, request);
        SET(CURLOPT_OPENSOCKETFUNCTION, http_open_socket);
        SET(CURLOPT_OPENSOCKETDATA, request);
        SET(CURLOPT_PRIVATE, request);

        SET(CURLOPT_HTTPHEADER, request->headers);
        if (options->body || strcmp(options->method, "GET") != 0) {
                SET(CURLOPT_POST, 1L);
                SET(CURLOPT_POSTFIELDS, options->body ?: "");
                SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) options->body_size);
                SET(CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024L);
        }
        SET(CURLOPT_CUSTOMREQUEST, options->method);
#undef SET
        return ok ? 0 : -EIO;
}

int http_request_new(HttpRequest **ret, HttpClient *client, const HttpOptions *options, HttpDone done,
                     void *userdata) {
        _cleanup_(http_request_freep) HttpRequest *request = NULL;
        _cleanup_free_ char *host = NULL;
        uint16_t port;
        int r;

        r = http_url_parse(options->url, &host, &port);
        if (r < 0)
                return r;
        if (!http_is_token(options->method))
                return -EINVAL;
        if (!(request = calloc(1, sizeof(*request))) || !(request->easy = curl_easy_init()))
                return -ENOMEM;
        request->client = client;
        request->done = done;
        request->userdata = userdata;
        request->body_max = options->body_max > 0 ? options->body_max : HTTP_BODY_MAX;

        r = http_set_headers(request, options);
        if (r >= 0)
                r = http_set_options(request, options);
        if (r >= 0 && options->n_addresses > 0)
                r = http_set_addresses(request, options, host, port);
        if (r < 0)
                return r;
        if (curl_multi_add_handle(client->multi, request->easy) != CURLM_OK)
                return -EIO;
        request->deadline =
                        watchdog_now() + (options->timeout > 0 ? options->timeout : HTTP_TIMEOUT_DEFAULT);
        LIST_INSERT_HEAD(&client->running, request, running);
        *ret = TAKE_PTR(request);
        return 0;
}

HttpRequest *http_request_free(HttpRequest *request) {
        if (!request)
                return NULL;
        if (request->easy) {
                if (request->client && request->deadline > 0) {
                        curl_multi_remove_handle(request->client->multi, request->easy);
                        LIST_REMOVE(request, running);
                }
                curl_easy_cleanup(request->easy);
        }
        curl_slist_free_all(request->headers);
        curl_slist_free_all(request->resolve);
        free(request->body);
        free(request);
        return NULL;
}

bool http_request_late(const HttpClient *client, uint64_t then) {
        const HttpRequest *request;

        LIST_FOREACH(request, &client->running, running)
        if (request->deadline < then)
                return true;
        return false;
}

const char *http_request_header(HttpRequest *request, const char *name) {
        struct curl_header *header;

        return curl_easy_header(request->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
                               ? header->value
                               : NULL;
}

static int http_error(const HttpRequest *request, CURLcode code) {
        long os_errno = 0;

        if (request->address_refused)
                return -EACCES;
        if (request->too_large)
                return -EFBIG;
        switch (code) {
        case CURLE_OK:
                return 0;
        case CURLE_COULDNT_RESOLVE_HOST:
                return -EHOSTUNREACH;
        case CURLE_COULDNT_CONNECT:
                curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_errno);
                return os_errno > 0 ? (int) -os_errno : -ECONNREFUSED;
        case CURLE_OPERATION_TIMEDOUT:
                return -ETIMEDOUT;
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
                return -ECONNRESET;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_CACERT_BADFILE:
                return -EKEYREJECTED;
        case CURLE_OUT_OF_MEMORY:
        case CURLE_WRITE_ERROR:
                return -ENOMEM;
        default:
                return -EPROTO;
        }
}

void http_request_finish(HttpRequest *request, CURLcode code) {
        HttpResult result = { .error = http_error(request, code), .text = request->text };
        curl_off_t retry_after = 0;
        long status = 0;

        curl_multi_remove_handle(request->client->multi, request->easy);
        LIST_REMOVE(request, running);
        request->client = NULL;

        if (result.error == -EACCES)
                snprintf(request->text, sizeof(request->text), "none of the allowed addresses may be used");
        else if (result.error == -EFBIG)
                snprintf(request->text, sizeof(request->text), "the answer is longer than %zu bytes",
                         request->body_max);
        else if (result.error < 0)
                snprintf(request->text, sizeof(request->text), "%s",
                         request->error[0] ? request->error : curl_easy_strerror(code));
        else {
                curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
                curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after);
        }
        result.status = (unsigned) status;
        result.retry_after = retry_after > 0 && retry_after < 86400 ? (uint64_t) retry_after * 1000000 : 0;
        result.body = request->body ?: "";
        result.body_size = request->body_size;
        request->done(request, &result, request->userdata);
}
