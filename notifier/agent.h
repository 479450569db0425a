/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What org.streamsight.Agent1 says on the system bus of this computer's screen. It is never started by being
 * watched. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "cleanup.h"

typedef struct Agent Agent;

typedef enum AgentState {
        AGENT_IDLE, /* also: there is no agent */
        AGENT_RECORDING,
        AGENT_PAUSED, /* a recording goes on later */
        AGENT_LOST,   /* it went away while recording, and has not come back for a while */
} AgentState;

typedef struct AgentView {
        AgentState state;
        uint64_t since;                     /* µs of CLOCK_REALTIME, when the recording began */
        char *recording, *company, *reason; /* as in docs/dbus.md, never NULL; "" while idle */
} AgentView;

/* Called from the loop when the view has changed in what a person would want to know, and with the first one
 * if that is not idle. */
typedef void (*AgentChanged)(const AgentView *view, void *userdata);

/* Connects to the system bus; the loop ends with an error when that is gone. */
int agent_new(Agent **ret, sd_event *event, AgentChanged changed, void *userdata);
Agent *agent_free(Agent *agent);
DEFINE_CLEANUP(Agent *, agent_freep, agent_free)
