/* SPDX-License-Identifier: Apache-2.0 */
#include "tls-server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

struct TlsServer {
        SSL_CTX *context;
        int listen_fd;
        int stop[2];
        pthread_t thread;
        atomic_uint connections;
};

static void certify(SSL_CTX *context, const char *path) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        X509 *certificate = X509_new();
        X509_NAME *name = X509_get_subject_name(certificate);
        X509V3_CTX v3;

        X509_set_version(certificate, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *) "test", -1, -1, 0);
        X509_set_issuer_name(certificate, name);
        X509_set_pubkey(certificate, key);
        X509V3_set_ctx(&v3, certificate, certificate, NULL, NULL, 0);
        X509_EXTENSION *san =
                        X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, "DNS:bucket.test,IP:127.0.0.1");
        X509_add_ext(certificate, san, -1);
        X509_EXTENSION_free(san);
        assert(X509_sign(certificate, key, EVP_sha256()) > 0);
        assert(SSL_CTX_use_certificate(context, certificate) == 1);
        assert(SSL_CTX_use_PrivateKey(context, key) == 1);

        FILE *file = fopen(path, "w");
        assert(file && PEM_write_X509(file, certificate) == 1);
        fclose(file);
        X509_free(certificate);
        EVP_PKEY_free(key);
}

static void answer(SSL *ssl, const char *status, const char *headers, const char *body, size_t size) {
        char head[512];
        int n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, headers,
                         size);
        SSL_write(ssl, head, n);
        if (size > 0)
                SSL_write(ssl, body, (int) size);
}

/* One request and its answer; false when the connection is over. */
static bool serve(SSL *ssl) {
        static char large[300 * 1024];
        char head[8192], reply[9000], buffer[16384];
        size_t length = 0, body = 0, expected = 0;
        char *end = NULL, *field;

        while (!end) {
                int n = SSL_read(ssl, head + length, (int) (sizeof(head) - 1 - length));
                if (n <= 0)
                        return false;
                length += (size_t) n;
                head[length] = '\0';
                end = strstr(head, "\r\n\r\n");
        }
        body = length - (size_t) (end + 4 - head);
        end[2] = '\0';
        if ((field = strcasestr(head, "\r\ncontent-length:")))
                expected = strtoul(field + 17, NULL, 10);
        if (strcasestr(head, "\r\nexpect: 100-continue"))
                SSL_write(ssl, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        while (body < expected) {
                int n = SSL_read(ssl, buffer, sizeof(buffer));
                if (n <= 0)
                        return false;
                body += (size_t) n;
        }

        const char *path = strchr(head, ' ') + 1;
        if (strncmp(path, "/redirect", 9) == 0)
                answer(ssl, "302 Found", "Location: /echo\r\n", "", 0);
        else if (strncmp(path, "/retry", 6) == 0)
                answer(ssl, "503 Unavailable", "Retry-After: 7\r\nETag: \"abc\"\r\n", "later", 5);
        else if (strncmp(path, "/large", 6) == 0)
                answer(ssl, "200 OK", "", large, sizeof(large));
        else if (strncmp(path, "/close", 6) == 0)
                return false;
        else if (strncmp(path, "/silent", 7) != 0) {
                int n = snprintf(reply, sizeof(reply), "%sbody: %zu\n", head, body);
                answer(ssl, "200 OK", "", reply, (size_t) n);
        }
        return true;
}

static void *run(void *userdata) {
        TlsServer *server = userdata;

        for (;;) {
                struct pollfd fds[] = { { server->listen_fd, POLLIN, 0 }, { server->stop[0], POLLIN, 0 } };
                poll(fds, 2, -1);
                if (fds[1].revents)
                        return NULL;
                int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
                struct timeval patience = { .tv_usec = 500000 }; /* one connection at a time */
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
                SSL *ssl = SSL_new(server->context);
                SSL_set_fd(ssl, fd);
                if (SSL_accept(ssl) == 1) {
                        server->connections++;
                        while (serve(ssl))
                                ;
                }
                SSL_free(ssl);
                close(fd);
        }
}

TlsServer *tls_server_start(const char *certificate_path, int max_version, uint16_t *ret_port) {
        TlsServer *server = calloc(1, sizeof(*server));
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t length = sizeof(address);

        assert(server);
        server->context = SSL_CTX_new(TLS_server_method());
        if (max_version) {
                SSL_CTX_set_security_level(server->context, 0);
                SSL_CTX_set_min_proto_version(server->context, max_version);
                SSL_CTX_set_max_proto_version(server->context, max_version);
        }
        certify(server->context, certificate_path);
        server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert(bind(server->listen_fd, (struct sockaddr *) &address, sizeof(address)) == 0);
        assert(listen(server->listen_fd, 8) == 0);
        getsockname(server->listen_fd, (struct sockaddr *) &address, &length);
        assert(pipe(server->stop) == 0);
        assert(pthread_create(&server->thread, NULL, run, server) == 0);
        *ret_port = ntohs(address.sin_port);
        return server;
}

unsigned tls_server_connections(const TlsServer *server) {
        return server->connections;
}

void tls_server_stop(TlsServer *server) {
        close(server->stop[1]);
        pthread_join(server->thread, NULL);
        close(server->stop[0]);
        close(server->listen_fd);
        SSL_CTX_free(server->context);
        free(server);
}
