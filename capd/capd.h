/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* capd shows the picture that is on the screen to one process, as long as another one lets it. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "capture.h"
#include "card.h"
#include "grant.h"
#include "outputs.h"
#include "peer.h"

/* The last frame of an output that was given out. */
typedef struct Given {
        uint64_t sequence; /* 0: none, or it was confirmed */
        bool copied, torn; /* it was a copy, which no page flip can tear any more; one did while it was made
                            */
        Shown shown;
        unsigned again; /* so many times in a row it was to be taken again */
        int error;      /* why the last one was not to be had, 0: it was */
} Given;

typedef struct Capd {
        sd_event *event;
        Card cards[CARDS_MAX];
        size_t n_cards;
        uint64_t opened; /* when they were */
        Outputs outputs;
        int enumerate_error; /* of the last time */
        Grant grant;
        Given given[GRANT_OUTPUTS];
        Peer frames, control; /* uploadd and brokerd */
        uint64_t n_frames, n_refusals;
        uint32_t last_reason;
} Capd;

/* Nanoseconds of CLOCK_BOOTTIME. */
uint64_t capd_now(void);

/* Looks at the outputs again. If a card is gone, it says so and ends the program, for systemd to start it
 * anew. One that does not answer is left out: the others go on. */
int capd_enumerate(Capd *capd) _must_check_;

/* Tells uploadd, if it is connected, of the outputs there are by now. */
void frames_tell_outputs(Capd *capd);

/* frame.sock and control.sock of wire.h */
int frames_listen(Capd *capd) _must_check_;
int control_listen(Capd *capd) _must_check_;
