/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A mad control plane, in the place of common/web/http.h's exchange over the network: what it answers to
 * each kind of request, and when, is in the input; without a word of that it never answers, and the request
 * times out as libcurl would have it. */

#include <stdbool.h>
#include <systemd/sd-id128.h>

#include "http.h"

/* The kinds of requests that brokerd makes: docs/api.md. */
enum {
        PLANE_TOKEN = 1,
        PLANE_ENROL,
        PLANE_POLICY,
        PLANE_REGISTER,
        PLANE_PRESIGN,
        PLANE_COMPLETE,
        PLANE_FINISH,
        PLANE_KEY,
        PLANE_LEAVE,
        PLANE_REPORT,
        _PLANE_MAX,
};

/* A request, as far as others wish to know. */
typedef struct PlaneRequest {
        unsigned kind;
        sd_id128_t recording; /* REGISTER, PRESIGN, COMPLETE, FINISH */
        uint32_t sequence;    /* PRESIGN, COMPLETE */
        uint8_t sha256[32];   /* likewise */
        uint64_t number;      /* FINISH: of segments */
        char reason[16];      /* likewise */
} PlaneRequest;

#define PLANE_ALWAYS 1U

/* A datagram for the control plane, followed by the body: answers the oldest request of its kind, or if
 * there is none the next one. */
typedef struct PlaneAnswer {
        uint32_t kind;
        uint16_t status;
        uint8_t error;      /* 0: none; else it is the network's, one of some */
        uint8_t flags;      /* PLANE_ALWAYS: all later requests of the kind as well, until told otherwise */
        uint8_t delay;      /* 0: none; n: it takes 2^n ms, at most 2^17 */
        uint8_t etag_times; /* how often etag is repeated in the header */
        uint8_t reserved[2];
        uint32_t retry_after; /* seconds; 0: none */
        char etag[16];
} PlaneAnswer;

void plane_answer(const void *bytes, size_t size);
/* Forgets the answers of an input. */
void plane_end(void);
