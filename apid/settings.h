/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The configuration of apid and streamsight-admin, one file format for both; and the master key. */

#include <stdint.h>

#include "secret.h"

#define SESSION_KEY_SIZE 32U
#define SESSION_KEYS_MAX 2U

typedef struct Settings {
        char *listen;     /* [Server] Listen=: "127.0.0.1:8080", "[::1]:8080" or "unix:/path" */
        char *public_url; /* [Server] PublicURL=: what clients call us, "https://…" without a final slash */
        uint64_t workers;             /* [Server] Workers=: threads, each with a database connection */
        uint64_t user_workers;        /* [Server] UserWorkers=: the same for people's requests */
        char *status_listen;          /* [Server] StatusListen=: where /live, /ready and /metrics are; NULL:
                                         nowhere */
        char *database;               /* [Database] ConnectionString=: libpq's, of role streamsight_apid */
        char *admin_database;         /* [Admin] ConnectionString=: the same of streamsight_admin, for
                                         streamsight-admin */
        char *migration_database;     /* [Migration] ConnectionString=: of a superuser, for its "migrate" */
        char *master_key_file;        /* [Keys] MasterKeyFile= */
        char *redis;                  /* [Sessions] Redis=: "host:port"; NULL: nobody can log in */
        char *redis_ca_file;          /* [Sessions] RedisCAFile=: PEM; NULL: the system's */
        char *redis_user;             /* [Sessions] RedisUser= */
        char *redis_password_file;    /* [Sessions] RedisPasswordFile= */
        char *session_key_file;       /* [Sessions] KeyFile= */
        uint64_t idle_seconds;        /* [Sessions] IdleSeconds=: how long a session lives unused */
        uint64_t password_iterations; /* [Login] PasswordIterations= */
        uint64_t login_workers;       /* [Login] Workers=: threads that hash passwords */
} Settings;

/* Reads path with its drop-ins. On failure *ret_error says what is wrong and where; see config_load(). */
int settings_load(Settings *settings, const char *path, char **ret_error) _must_check_;
void settings_done(Settings *settings);

/* Reads the master key, 32 bytes, or 64 for two of which the first encrypts: from systemd's credential
 * "master-key" (LoadCredential=, systemd.exec(5)), else from the file named in the settings, which is for
 * whom systemd has not started. On failure *ret_error says what to do. */
int settings_read_master_keys(const Settings *settings, MasterKeys *ret, char **ret_error) _must_check_;

/* The keys that sessions are signed with: 32 bytes, or 64 for two of which the first signs and both are
 * good. From the credential "session-keys", else from the file named in the settings. */
int settings_read_session_keys(const Settings *settings,
                               uint8_t ret[static SESSION_KEYS_MAX][SESSION_KEY_SIZE], size_t *ret_n,
                               char **ret_error) _must_check_;

/* What we tell Redis: one line. From the credential "redis-password", else from the file named in the
 * settings; "" if there is neither. */
int settings_read_redis_password(const Settings *settings, char *ret, size_t size,
                                 char **ret_error) _must_check_;
