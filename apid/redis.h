/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Redis over TLS 1.3 and nothing else. Debian's hiredis has no TLS, so its formatter and reader of replies
 * are used on a connection of our own. Each thread has one, made when it first needs it and again when it is
 * lost. */

#include <hiredis/hiredis.h>

#include "cleanup.h"

DEFINE_CLEANUP(redisReply *, redisReplyp, freeReplyObject)

#define REDIS_SECRET_MAX 256U

typedef struct RedisServer {
        char host[256], port[6];
        char user[65];                       /* "": Redis' default user */
        char password[REDIS_SECRET_MAX + 1]; /* "": none */
        struct ssl_ctx_st *tls;              /* an SSL_CTX; its header has names that are everybody's */
} RedisServer;

/* address: "host:port" or "[host]:port"; ca_file: PEM, NULL for the system's. user and password are the
 * caller's to fill in. -EINVAL: malformed; -ENOENT: ca_file cannot be used; -ENOMEM. */
int redis_server_init(RedisServer *server, const char *address, const char *ca_file) _must_check_;
void redis_server_done(RedisServer *server);

/* One command and its reply, which is the caller's and not of type REDIS_REPLY_ERROR. It is sent again once
 * if a connection that was open already turns out to be lost, so it must be repeatable. -ECONNREFUSED: no
 * answer, or not as it must be (which is logged), or none a moment ago; -EIO: Redis refused the command. */
int redis_command(const RedisServer *server, int argc, const char *const *argv,
                  redisReply **ret) _must_check_;
