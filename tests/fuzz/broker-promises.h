/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What brokerd promises whatever uploadd and the control plane say (docs/THREAT-MODEL.md), held against what
 * it says on the wire and to the control plane. Reckoned from both sides' words alone, in the order in which
 * they came; of brokerd's own state only the properties on the bus are read. A broken promise ends the
 * program. */

#include <jansson.h>

#include "broker-plane.h"
#include "broker.h"

#define PROMISE_URL    "https://api.example.org"
#define PROMISE_BUCKET "bucket.example.org"

_Noreturn void promise_broken(const char *what);

void promise_begin(sd_id128_t device);
/* The local limits are these now. */
void promise_limits(const CaptureLimits *limits);
void promise_end(void);

/* brokerd asks the control plane; and is about to learn what came of it. json may be NULL. */
void promise_asked(const PlaneRequest *asked, const json_t *json);
void promise_answered(const PlaneRequest *asked, const HttpResult *result);

/* On the channels of broker.sock and control.sock, as of wire-driver.h. */
#define PROMISE_UPLOADD 0U
#define PROMISE_CAPD    1U
void promise_said(unsigned channel, const void *bytes, size_t size);
void promise_heard(unsigned channel, const void *bytes, size_t size);
void promise_connected(unsigned channel);

/* Somebody who may tells it to begin a recording, to end it and begin none, to take no pictures for now. */
void promise_start(void);
void promise_stop(void);
void promise_pause(void);

/* It has been started anew. */
void promise_restarted(void);

/* locked: the session at the seat is. */
void promise_rests(const Broker *broker, bool locked);
