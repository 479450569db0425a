/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "cleanup.h"

#define AGENT_NAME      "org.streamsight.Agent1"
#define AGENT_PATH      "/org/streamsight/Agent1"
#define AGENT_INTERFACE "org.streamsight.Agent1"

DEFINE_CLEANUP(sd_bus_message *, message_unrefp, sd_bus_message_unref)

/* Connects to the system bus; says on standard error what is wrong. */
int client_open(sd_bus **ret);

/* Prints what a call failed with, as the service or the bus put it. Returns -1. */
int client_failed(const sd_bus_error *error, int r);

/* streamsight status [--json] */
int status_main(sd_bus *bus, bool json);

/* A method with a u, or with nothing, which polkit may ask a password for. */
int client_ask(sd_bus *bus, const char *method, const char *types, uint32_t value, sd_bus_message **ret,
               sd_bus_error *error);
/* The same for one that answers nothing; returns 0 or -1, having said why. */
int client_call(sd_bus *bus, const char *method, const char *types, uint32_t value);

/* streamsight pause [SECONDS] */
int pause_main(sd_bus *bus, const char *seconds);

/* streamsight unenroll, rotate-key, reload, diagnostics */
bool manage_knows(const char *command);
int manage_main(sd_bus *bus, const char *command);

/* streamsight enroll: asks for the code on the terminal, or takes one line of standard input. */
int enroll_main(sd_bus *bus);
