/* SPDX-License-Identifier: Apache-2.0 */
#include "wire-pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire-driver.h"
#include "wire-socket.h"

typedef struct Channel {
        int listening; /* an eventfd, which the daemon closes: it counts the connections that wait */
        int waiting;   /* the daemon's end, until it is accepted */
        int peer;
        pid_t pid;
} Channel;

#define CHANNEL_NONE                                                                                        \
        { -1, -1, -1, 0 }

static Channel channels[WIRE_CHANNELS] = { CHANNEL_NONE, CHANNEL_NONE };

void fuzz_die(const char *what) {
        perror(what);
        abort();
}

static int make_pair(Channel *channel) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                fuzz_die("socketpair");
        safe_close(channel->peer);
        channel->peer = fds[0];
        return fds[1];
}

int wire_driver_listen(unsigned channel) {
        unsigned waiting = channels[channel].waiting >= 0;
        int fd = eventfd(waiting, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);

        if (fd < 0)
                fuzz_die("eventfd");
        return channels[channel].listening = fd;
}

void wire_pairs_connect(unsigned number, unsigned pid) {
        Channel *channel = &channels[number];

        if (channel->listening < 0)
                return;
        if (channel->waiting >= 0)
                safe_close(channel->waiting);
        else if (eventfd_write(channel->listening, 1) < 0)
                fuzz_die("eventfd");
        channel->waiting = make_pair(channel);
        channel->pid = 100 + (pid_t) pid;
}

int wire_pairs_peer(unsigned channel) {
        return channels[channel].peer;
}

void wire_pairs_hang_up(unsigned channel) {
        channels[channel].peer = safe_close(channels[channel].peer);
}

void wire_pairs_close(void) {
        for (unsigned i = 0; i < WIRE_CHANNELS; i++) {
                safe_close(channels[i].waiting);
                safe_close(channels[i].peer);
                channels[i] = (Channel) CHANNEL_NONE;
        }
}

/* ------------------------------------------------------------------ wire-socket.h */

int wire_listen_fd(const char *name _unused_, int *ret_fd) {
        *ret_fd = wire_driver_listen(0);
        return 0;
}

int wire_know_domain(void) {
        return 0;
}

int wire_user(const char *name _unused_, uid_t *ret_uid) {
        *ret_uid = getuid();
        return 0;
}

int wire_accept(int listen_fd, uid_t uid, const char *domain _unused_, int *ret_fd, WirePeer *ret_peer) {
        eventfd_t n;

        for (unsigned i = 0; i < WIRE_CHANNELS; i++) {
                Channel *channel = &channels[i];

                if (channel->listening != listen_fd || channel->waiting < 0)
                        continue;
                (void) eventfd_read(listen_fd, &n);
                *ret_fd = TAKE_FD(channel->waiting);
                *ret_peer = (WirePeer){ .uid = uid, .pid = channel->pid };
                return 0;
        }
        return -EAGAIN;
}

int wire_peer_pidfd(int fd _unused_) {
        return -ENOPROTOOPT;
}

/* The path is the channel's number. */
int wire_connect(const char *path, const char *domain _unused_, bool passes_fds _unused_, int *ret_fd) {
        *ret_fd = make_pair(&channels[path[0] - '0']);
        return 0;
}
