/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config.h"

/* What the command line and /etc/streamsight/agent.conf say to uploadd. */
typedef struct Settings {
        const char *config_path, *frame_socket, *broker_socket; /* of the command line, or names.h */
        char **bucket_hosts;                                    /* pins: web/http-url.h */
        char *bucket_ca_file;                                   /* NULL: the system's certificates */
} Settings;

/* Logs what is wrong. 1: go on; 0: everything was said (--help, --version). */
int settings_parse_arguments(Settings *settings, int argc, char *argv[]);
int settings_load(Settings *settings);
void settings_done(Settings *settings);
