/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* capd shows the picture that is on the screen to one process, as long as another one lets it. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "card.h"
#include "grant.h"
#include "outputs.h"
#include "peer.h"

typedef struct Capd {
        sd_event *event;
        Card cards[CARDS_MAX];
        size_t n_cards;
        Outputs outputs;
        Grant grant;
        Peer frames, control; /* uploadd and brokerd */
        uint64_t n_frames, n_refusals;
        uint32_t last_reason;
} Capd;

/* Nanoseconds of CLOCK_BOOTTIME. */
uint64_t capd_now(void);

/* Looks at the outputs again. Where that cannot be done, a card is gone or something worse happened: it says
 * so and ends the program, for systemd to start it anew. */
int capd_enumerate(Capd *capd) _must_check_;

/* frame.sock and control.sock of wire.h */
int frames_listen(Capd *capd) _must_check_;
int control_listen(Capd *capd) _must_check_;
