/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include "log.h"
#include "message-ids.h"
#include "wire-socket.h"

int peer_open(Peer *peer, const char *name, const char *user, const char *domain) {
        int r;

        peer->user = user;
        peer->domain = domain;
        r = wire_user(user, &peer->uid);
        if (r < 0)
                return log_error_errno(r, "There is no user %s: run systemd-sysusers. (%m)", user);
        r = wire_listen_fd(name, &peer->listen_fd);
        if (r < 0)
                return log_error_errno(
                                r,
                                "systemd passed no socket named %s: start streamsight-capd-%s.socket. (%m)",
                                name, name);
        return 0;
}

static void peer_closed(WireConnection *connection, int error, const char *detail, void *userdata) {
        Peer *peer = userdata;

        if (error < 0)
                log_warning_errno(error, "Closed the connection of %s: %s.", peer->user, detail);
        else
                log_info("%s disconnected.", peer->user);
        peer->connection = wire_connection_free(connection);
}

static int peer_accept(sd_event_source *source, int fd, uint32_t events _unused_, void *userdata) {
        _cleanup_(wire_connection_freep) WireConnection *connection = NULL;
        _cleanup_close_ int accepted = -1;
        Peer *peer = userdata;
        WirePeer from;
        int r;

        r = wire_accept(fd, peer->uid, peer->domain, &accepted, &from);
        if (r == -EPERM) {
                log_event_errno(LOG_WARNING, r, MESSAGE_PEER_REFUSED,
                                "Refused a connection of uid %u, pid %d%s%s: this socket is for %s alone.",
                                from.uid, from.pid, from.label[0] ? ", " : "", from.label, peer->user);
                return 0;
        }
        if (r == -EAGAIN)
                return 0;
        if (r < 0)
                return sd_event_exit(sd_event_source_get_event(source),
                                     log_error_errno(r, "Cannot accept a connection: %m"));

        r = wire_connection_new(&connection, sd_event_source_get_event(source), accepted, peer->rules,
                                peer->n_rules, peer_closed, peer);
        if (r >= 0) {
                TAKE_FD(accepted);
                r = wire_connection_set_priority(connection, peer->priority);
        }
        if (r < 0) {
                log_warning_errno(r, "Cannot serve a connection of %s: %m", peer->user);
                return 0;
        }
        if (peer->connection)
                log_info("%s connected again.", peer->user);
        else
                log_info("%s connected.", peer->user);
        wire_connection_free(peer->connection);
        peer->connection = TAKE_PTR(connection);
        return 0;
}

int peer_listen(Peer *peer, sd_event *event, const WireRule *rules, size_t n_rules, void *userdata) {
        int r;

        peer->rules = rules;
        peer->n_rules = n_rules;
        peer->userdata = userdata;
        r = sd_event_add_io(event, &peer->source, peer->listen_fd, EPOLLIN, peer_accept, peer);
        if (r >= 0)
                r = sd_event_source_set_priority(peer->source, peer->priority);
        if (r < 0)
                return log_error_errno(r, "Cannot listen for %s: %m", peer->user);
        return 0;
}

void peer_close(Peer *peer) {
        peer->source = sd_event_source_disable_unref(peer->source);
        peer->connection = wire_connection_free(peer->connection);
        peer->listen_fd = safe_close(peer->listen_fd);
}
