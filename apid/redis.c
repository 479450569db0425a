/* SPDX-License-Identifier: Apache-2.0 */

#include "redis.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "circuit.h"
#include "log.h"
#include "metrics.h"

#define PATIENCE_SECONDS 2
#define REPLY_MAX        65536U

typedef struct Redis {
        int fd;
        SSL *tls;
        redisReader *reader;
} Redis;

static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;

static void redis_close(Redis *redis) {
        SSL_free(redis->tls);
        redis->tls = NULL;
        if (redis->reader)
                redisReaderFree(redis->reader);
        redis->reader = NULL;
        redis->fd = safe_close(redis->fd);
}

static void redis_free(void *userdata) {
        redis_close(userdata);
        free(userdata);
}

static void make_thread_key(void) {
        if (pthread_key_create(&thread_key, redis_free) != 0)
                abort();
}

static Redis *redis_of_thread(void) {
        pthread_once(&thread_key_once, make_thread_key);
        Redis *redis = pthread_getspecific(thread_key);
        if (!redis && (redis = calloc(1, sizeof(*redis)))) {
                redis->fd = -1;
                if (pthread_setspecific(thread_key, redis) != 0) {
                        free(redis);
                        return NULL;
                }
        }
        return redis;
}

int redis_server_init(RedisServer *server, const char *address, const char *ca_file) {
        const char *colon = strrchr(address, ':');
        size_t length = colon ? (size_t) (colon - address) : 0;

        if (length > 2 && address[0] == '[' && address[length - 1] == ']') {
                address++;
                length -= 2;
        }
        if (length == 0 || length >= sizeof(server->host) || strlen(colon + 1) >= sizeof(server->port) ||
            !colon[1] || colon[1 + strspn(colon + 1, "0123456789")])
                return -EINVAL;
        memcpy(server->host, address, length);
        strcpy(server->port, colon + 1);
        server->tls = SSL_CTX_new(TLS_client_method());
        if (!server->tls || SSL_CTX_set_min_proto_version(server->tls, TLS1_3_VERSION) != 1)
                return -ENOMEM;
        SSL_CTX_set_verify(server->tls, SSL_VERIFY_PEER, NULL);
        int ok = ca_file ? SSL_CTX_load_verify_file(server->tls, ca_file)
                         : SSL_CTX_set_default_verify_paths(server->tls);
        return ok == 1 ? 0 : -ENOENT;
}

void redis_server_done(RedisServer *server) {
        SSL_CTX_free(server->tls);
        OPENSSL_cleanse(server, sizeof(*server));
}

static int dial(const RedisServer *server) {
        const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
        struct addrinfo *found = NULL;
        int fd = -1;

        if (getaddrinfo(server->host, server->port, &hints, &found) != 0)
                return -EHOSTUNREACH;
        for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
                fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
                /* The first also bounds connect(): socket(7). */
                if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
                                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
                                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) < 0 ||
                                connect(fd, a->ai_addr, a->ai_addrlen) < 0))
                        fd = safe_close(fd);
        }
        freeaddrinfo(found);
        return fd >= 0 ? fd : -ECONNREFUSED;
}

static bool expect_name(SSL *tls, const char *host) {
        uint8_t address[sizeof(struct in6_addr)];

        if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
                return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host) == 1;
        return SSL_set1_host(tls, host) == 1 && SSL_set_tlsext_host_name(tls, host) == 1;
}

/* SO_RCVTIMEO and SO_SNDTIMEO say EAGAIN: a server that stands still is not asked again at once. */
static int lost(void) {
        return errno == EAGAIN ? -ETIMEDOUT : -ECONNRESET;
}

/* One command and its reply on an open connection. */
static int talk(Redis *redis, int argc, const char *const *argv, redisReply **ret) {
        char *text = NULL, buffer[4096];
        void *reply = NULL;
        size_t received = 0;

        int length = redisFormatCommandArgv(&text, argc, (const char **) argv, NULL);
        if (length < 0)
                return -ENOMEM;
        errno = 0;
        int written = SSL_write(redis->tls, text, length);
        OPENSSL_cleanse(text, (size_t) length);
        redisFreeCommand(text);
        if (written != length)
                return lost();
        while (!reply) {
                errno = 0;
                int n = SSL_read(redis->tls, buffer, sizeof(buffer));
                if (n <= 0 || (received += (size_t) n) > REPLY_MAX)
                        return lost();
                if (redisReaderFeed(redis->reader, buffer, (size_t) n) != REDIS_OK ||
                    redisReaderGetReply(redis->reader, &reply) != REDIS_OK)
                        return -EBADMSG;
        }
        *ret = reply;
        return 0;
}

static int authenticate(Redis *redis, const RedisServer *server) {
        const char *const argv[] = { "AUTH", server->user, server->password };
        const char *const argv_default[] = { "AUTH", server->password };
        _cleanup_(redisReplyp) redisReply *reply = NULL;
        int r;

        if (!server->password[0])
                return 0;
        r = server->user[0] ? talk(redis, 3, argv, &reply) : talk(redis, 2, argv_default, &reply);
        if (r < 0)
                return r;
        return reply->type == REDIS_REPLY_ERROR ? -EACCES : 0;
}

static int redis_connect(Redis *redis, const RedisServer *server) {
        int r;

        redis_close(redis);
        ERR_clear_error();
        redis->fd = dial(server);
        if (redis->fd < 0) {
                log_warning("Redis at %s:%s cannot be reached", server->host, server->port);
                return -ECONNREFUSED;
        }
        redis->tls = SSL_new(server->tls);
        redis->reader = redisReaderCreate();
        if (!redis->tls || !redis->reader || !expect_name(redis->tls, server->host) ||
            SSL_set_fd(redis->tls, redis->fd) != 1)
                return -ENOMEM;
        if (SSL_connect(redis->tls) != 1) {
                const char *reason = ERR_reason_error_string(ERR_peek_last_error());
                log_warning("Redis at %s:%s does not speak TLS 1.3 with a certificate that is good for it: %s",
                            server->host, server->port, reason ?: "the connection ended");
                ERR_clear_error();
                return -ECONNREFUSED;
        }
        r = authenticate(redis, server);
        if (r < 0)
                log_warning("Redis at %s:%s %s", server->host, server->port,
                            r == -EACCES ? "refuses user or password" : "does not answer");
        return r < 0 ? -ECONNREFUSED : 0;
}

int redis_command(const RedisServer *server, int argc, const char *const *argv, redisReply **ret) {
        static Circuit circuit;
        _cleanup_(redisReplyp) redisReply *reply = NULL;
        Redis *redis = redis_of_thread();
        long long entered;
        int r;

        if (!redis)
                return -ENOMEM;
        if (!circuit_enter(&circuit, &entered))
                return -ECONNREFUSED;
        bool was_open = redis->tls;
        r = was_open ? talk(redis, argc, argv, &reply) : -ECONNRESET;
        if (r == -ECONNRESET && (r = redis_connect(redis, server)) >= 0)
                r = talk(redis, argc, argv, &reply);
        circuit_leave(&circuit, entered, r >= 0);
        if (r < 0) {
                metrics_count(METRIC_REDIS_FAILURES);
                redis_close(redis);
                return r == -ENOMEM ? r : -ECONNREFUSED;
        }
        if (reply->type == REDIS_REPLY_ERROR) {
                log_warning("Redis refused %s: %.100s", argv[0], reply->str);
                return -EIO;
        }
        *ret = TAKE_PTR(reply);
        return 0;
}
