/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The outputs of all cards: connectors, and what feeds the ones that show a picture. Which planes these show
 * changes by the frame (capture.h). */

#include <stdbool.h>
#include <stdint.h>

#include "card.h"
#include "cleanup.h"
#include "grant.h"
#include "wire.h"

/* Property ids, 0 where the driver has no such property: without atomic modesetting there is no CRTC_ID or
 * ACTIVE, but DPMS. */
typedef struct OutputProperties {
        uint32_t connector, crtc; /* whose they are */
        uint32_t crtc_id, dpms, hdr_metadata, colorspace, active;
} OutputProperties;

/* Connector and CRTC are KMS ids of one card. An output keeps its place, which is its id, for as
 * long as capd runs, also while it is unplugged: a grant for it is never one for another. */
typedef struct Output {
        bool known;     /* this place is taken */
        bool connected; /* something is plugged in, or a picture is sent there anyway */
        bool active;    /* a CRTC feeds it; all below is set only then */
        const Card *card;
        uint32_t connector_type,
                        connector_type_id; /* what its name is made of: the identity across unplugging */
        uint32_t connector, crtc;
        uint32_t crtc_bit; /* of Plane.possible_crtcs */
        uint32_t width, height, refresh_mhz;
        OutputProperties properties;
} Output;

typedef struct Outputs {
        Output outputs[GRANT_OUTPUTS]; /* by id */
} Outputs;

/* What feeds the output now: -ESTALE if that is another CRTC than at enumeration, or none; else whether the
 * picture is switched on, and not asleep, and what it was told of its light. */
int output_check(const Output *output, bool *ret_on, struct wire_hdr *ret_hdr) _must_check_;

/* Looks at every connector of the cards again. -ENODEV: a card is gone. Another negative errno: one could
 * not be asked, and has fewer outputs; the others were. */
int outputs_enumerate(Outputs *outputs, const Card *cards, size_t n_cards) _must_check_;

/* Those that show a picture, at most WIRE_OUTPUTS_MAX, and how many more there are. Of connectors that show
 * the same CRTC, the first. And which are asleep. */
void outputs_describe(const Outputs *outputs, struct wire_outputs *ret);
