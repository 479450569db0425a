/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A mad peer for the daemons' receivers: an input is a list of datagrams with descriptors. What the mutator
 * makes is mostly what the protocol allows, with one thing broken, or it would end at the first size check.
 */

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct WireMessage {
        uint8_t channel; /* the target's own number of the connection */
        uint32_t type, size;
        uint8_t fds_min, fds_max;
        const void *sample; /* of size bytes, one that is taken; NULL: zeros are */
} WireMessage;

/* The target's: what its receivers know, from which the mutator makes messages. */
extern const WireMessage wire_messages[];
extern const size_t wire_n_messages;
/* µs after which the timers have fired that a message may have set; 0: none matters. */
extern const uint64_t wire_wait;

#define WIRE_CHANNELS 2

/* The target's: a fresh daemon's receivers, each with a connection to it in peers[channel]. */
typedef struct WireTarget {
        sd_event *event;
        int peers[WIRE_CHANNELS];
} WireTarget;
void wire_target_open(WireTarget *target);
void wire_target_close(WireTarget *target);

/* For targets: a listening socket at a fresh path, and its connection from path; both end the program on
 * failure. */
int wire_driver_listen(const char *path);
int wire_driver_connect(const char *path);
/* Runs the loop until nothing is left to do within usec. */
void wire_driver_run(sd_event *event, uint64_t usec);
