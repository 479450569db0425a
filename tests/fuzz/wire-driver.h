/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A mad peer for the daemons' receivers: plays a conversation (wire-input.h) to a daemon's own code over
 * socket pairs, in a time that it makes pass itself, and then looks whether all that was opened is closed.
 */

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define WIRE_CHANNELS 2U

/* What a target's receivers know, from which conversations are made. */
typedef struct WireMessage {
        uint8_t channel; /* the target's own number of the connection */
        uint32_t type, size;
        uint8_t fds_min, fds_max;
        const void *sample; /* of size bytes, one that is taken; NULL: zeros are */
        uint8_t wait;       /* as in a DatagramHeader: until the daemon's next step is due */
} WireMessage;

extern const WireMessage wire_messages[];
extern const size_t wire_n_messages;

/* The target's: makes a fresh daemon's receivers; returns their loop. */
sd_event *wire_target_open(void);
/* Frees all of it, and the loop. */
void wire_target_close(void);

/* A target may have more sides than its sockets, and look at what is said; each of these may be left out. */

/* A datagram for a channel from WIRE_CHANNELS on: does what it says. Returns the daemon's loop, which may be
 * another now. */
sd_event *wire_target_do(const void *bytes, size_t size);
/* What a peer has just said on a channel, and what the daemon has; size 0: it has hung up. */
void wire_target_said(unsigned channel, const void *bytes, size_t size);
void wire_target_heard(unsigned channel, const void *bytes, size_t size);
/* A peer has connected to the daemon. */
void wire_target_connected(unsigned channel);
/* The loop has nothing left to do until time passes or somebody speaks. */
void wire_target_rests(void);
/* Changes what is behind the type of a datagram for wire_target_do(); returns its new size. */
size_t wire_target_mutate(uint8_t *bytes, size_t size, size_t max_size);

/* Has wire_target_heard() told of all that the daemon has said so far. */
void wire_driver_hear(void);

/* For wire_target_open(): the descriptor to listen on for a channel's connections, until it is closed. A
 * channel without is one that the daemon connects, to the path that is its number. */
int wire_driver_listen(unsigned channel);
