/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The configuration of apid and streamsight-admin, one file format for both; and the master key. */

#include <stdint.h>

#include "secret.h"

typedef struct Settings {
        char *listen;     /* [Server] Listen=: "127.0.0.1:8080", "[::1]:8080" or "unix:/path" */
        char *public_url; /* [Server] PublicURL=: what clients call us, "https://…" without a final slash */
        uint64_t workers;     /* [Server] Workers=: threads, each with a database connection */
        char *database;       /* [Database] ConnectionString=: libpq's, of role streamsight_apid */
        char *admin_database; /* [Admin] ConnectionString=: the same of a superuser, for streamsight-admin */
        char *master_key_file; /* [Keys] MasterKeyFile= */
} Settings;

/* Reads path with its drop-ins. On failure *ret_error says what is wrong and where; see config_load(). */
int settings_load(Settings *settings, const char *path, char **ret_error) _must_check_;
void settings_done(Settings *settings);

/* Reads the 32 bytes of the master key: from the file named in the settings, else from systemd's credential
 * "master-key" (LoadCredential=, systemd.exec(5)). On failure *ret_error says what to do. */
int settings_read_master_key(const Settings *settings, uint8_t ret[static MASTER_KEY_SIZE],
                             char **ret_error) _must_check_;
