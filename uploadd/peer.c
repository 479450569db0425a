/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include "log.h"
#include "wire-socket.h"

#define BACKOFF_MIN UINT64_C(100000)
#define BACKOFF_MAX UINT64_C(5000000)

static void peer_wake(Peer *peer, uint64_t usec) {
        int r = sd_event_source_set_time_relative(peer->timer, usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(peer->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                sd_event_exit(peer->event, log_error_errno(r, "Cannot set a timer: %m"));
}

static void peer_retry(Peer *peer) {
        peer_wake(peer, peer->backoff);
        peer->backoff = peer->backoff * 2 < BACKOFF_MAX ? peer->backoff * 2 : BACKOFF_MAX;
}

static void on_closed(WireConnection *connection, int error, const char *detail, void *userdata) {
        Peer *peer = userdata;

        /* A peer that answered HELLO was well: try again soon. */
        if (error == 0 && wire_connection_state(connection) == WIRE_STATE_READY)
                peer->backoff = BACKOFF_MIN;
        if (error < 0)
                log_warning_errno(error, "Ended the connection to %s: %s", peer->kind->name, detail);
        else
                log_info("Lost the connection to %s; connecting again.", peer->kind->name);
        peer->connection = wire_connection_free(connection);
        peer->kind->down(peer, peer->userdata);
        peer_retry(peer);
}

static int peer_connect(Peer *peer) {
        _cleanup_close_ int fd = -1;
        int r;

        r = wire_connect(peer->path, peer->kind->domain, peer->kind->passes_fds, &fd);
        if (r >= 0)
                r = wire_connection_new(&peer->connection, peer->event, fd, peer->kind->rules,
                                        peer->kind->n_rules, on_closed, peer);
        if (r >= 0)
                (void) TAKE_FD(fd);
        return r;
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Peer *peer = userdata;
        int r;

        if (peer->lost) {
                peer->lost = false;
                peer->kind->down(peer, peer->userdata);
                peer_retry(peer);
                return 0;
        }
        r = peer_connect(peer);
        if (r < 0) {
                if (peer->complained != r)
                        log_warning_errno(r, "Cannot connect to %s at %s, trying on: %m", peer->kind->name,
                                          peer->path);
                peer->complained = r;
                peer_retry(peer);
                return 0;
        }
        peer->complained = 0;
        peer->kind->up(peer, peer->userdata);
        return 0;
}

int peer_init(Peer *peer, const PeerKind *kind, sd_event *event, const char *path, void *userdata) {
        *peer = (Peer){
                .kind = kind, .path = path, .userdata = userdata, .event = event, .backoff = BACKOFF_MIN
        };
        return sd_event_add_time_relative(event, &peer->timer, CLOCK_BOOTTIME, 0, 1000, on_timer, peer);
}

void peer_done(Peer *peer) {
        peer->connection = wire_connection_free(peer->connection);
        peer->timer = sd_event_source_disable_unref(peer->timer);
}

int peer_send(Peer *peer, const void *message, size_t size) {
        int r;

        if (!peer->connection)
                return -ENOTCONN;
        r = wire_connection_send(peer->connection, message, size, NULL, 0);
        if (r < 0) {
                log_warning_errno(r, "Cannot send to %s, connecting again: %m", peer->kind->name);
                peer->connection = wire_connection_free(peer->connection);
                peer->lost = true;
                peer_wake(peer, 0);
        }
        return r;
}
