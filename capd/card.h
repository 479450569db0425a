/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A DRM device's primary node, opened to look and not to touch. */

#include <stdint.h>

#include "cleanup.h"
#include "plane/plane.h"

#define CARDS_MAX       8U
#define CARD_PLANES_MAX 64U /* a card with more shows its first ones */

typedef struct Card {
        int fd;
        unsigned minor; /* /dev/dri/card<minor> */
        char driver[32];
        /* A driver makes them when it starts, with all their properties; what changes are the values. */
        uint32_t n_planes;
        Plane planes[CARD_PLANES_MAX];
} Card;

/* Opens /dev/dri/card<minor>, gives up DRM master at once and verifies that, and asks to be shown universal
 * planes and atomic properties, which it resolves. -ENOENT: no such card; -EOPNOTSUPP: one without outputs;
 * -EBUSY: it would not give up master, with which no compositor could start, so the caller must not live on.
 */
int card_open(unsigned minor, Card *ret) _must_check_;

void card_close(Card *card);
