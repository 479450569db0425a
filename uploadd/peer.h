/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A connection to another of the processes that is made again whenever it has ended: each of them may
 * restart alone. */

#include "wire-connection.h"

typedef struct Peer Peer;

typedef struct PeerKind {
        const char *name;   /* for the journal: "capd" */
        const char *domain; /* its SELinux type */
        bool passes_fds;
        const WireRule *rules;
        size_t n_rules;
        void (*up)(Peer *peer, void *userdata);   /* connected; HELLO is sent, not yet answered */
        void (*down)(Peer *peer, void *userdata); /* the connection has ended */
} PeerKind;

struct Peer {
        const PeerKind *kind;
        const char *path;
        void *userdata; /* of up and down; the rules' handlers get the peer itself */
        sd_event *event;
        sd_event_source *timer;
        WireConnection *connection; /* NULL: not connected */
        uint64_t backoff;           /* µs */
        bool complained, lost;      /* lost: down is still to be called */
};

/* Connects from the event loop on. path and kind must outlive the peer. */
int peer_init(Peer *peer, const PeerKind *kind, sd_event *event, const char *path, void *userdata);
void peer_done(Peer *peer);

/* Sends if there is a connection, and gives one up whose other end does not read; down is called later, from
 * the loop. -ENOTCONN: there is none. */
int peer_send(Peer *peer, const void *message, size_t size);
