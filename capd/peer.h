/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A listening socket that is for one other process: one user, one connection. */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "cleanup.h"
#include "wire-connection.h"

/* There is one such process. If it connects anew, it has lost the connection that it had, perhaps before
 * that end has been noticed here: the newest counts and the one before is closed. */
typedef struct Peer {
        const char *user, *domain;
        uid_t uid;
        int listen_fd;
        int64_t priority; /* as of sd_event_source_set_priority(3), of the listener and of the connection */
        const WireRule *rules;
        size_t n_rules;
        void *userdata; /* for the rules' handlers, which are called with the Peer */
        sd_event_source *source;
        WireConnection *connection;
} Peer;

/* Finds the socket that systemd passed under name, and the user's uid; domain is that user's SELinux type.
 * Logs what is wrong. */
int peer_open(Peer *peer, const char *name, const char *user, const char *domain) _must_check_;

/* Accepts from now on. */
int peer_listen(Peer *peer, sd_event *event, const WireRule *rules, size_t n_rules,
                void *userdata) _must_check_;

void peer_close(Peer *peer);
