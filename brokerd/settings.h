/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the machine's administrator said: the command line and agent.conf. */

#include "capture-policy.h"
#include "cleanup.h"

typedef struct Settings {
        const char *config;         /* path, of the command line */
        const char *control_socket; /* capd's */
        const char *uploadd_user;   /* who may connect to broker.sock */
        char *state_directory;

        char *url;     /* of the control plane, without a slash at the end; NULL: none named yet */
        char *ca_file; /* NULL: the system's */
        char **bucket_hosts;
        char *bucket_ca_file; /* uploadd's: known here, so that it is not refused */
        CaptureLimits limits;
} Settings;

/* Reads both; 1: go on, 0: --help or --version was answered. Logs what is wrong. */
int settings_load(Settings *settings, int argc, char *argv[]);

typedef struct SettingsChange {
        bool bucket;        /* [Bucket] has */
        bool control_plane; /* [ControlPlane] has, and is not taken over: the process is confined to the old
                             */
} SettingsChange;

/* Reads agent.conf again. On failure all is as it was, and *ret_error says why. */
int settings_reload(Settings *settings, SettingsChange *ret, char **ret_error);
void settings_done(Settings *settings);
