/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The system bus, on which brokerd's peer is this program alone: whoever calls its methods, polkit, which
 * allows all, and logind. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* A datagram for the bus, followed by a text. */
typedef struct BusDatagram {
        uint32_t what;
        uint32_t number;
} BusDatagram;

enum {
        BUS_START = 0x20,
        BUS_STOP,
        BUS_PAUSE, /* for number seconds */
        BUS_RESUME,
        BUS_FLUSH,
        BUS_ENROL, /* with the text */
        BUS_UNENROL,
        BUS_ROTATE,
        BUS_DIAGNOSTICS,
        BUS_SEAT, /* who is at it: the text; number is BUS_SEAT_* */
};

#define BUS_SEAT_TAKEN  1U
#define BUS_SEAT_LOCKED 2U
#define BUS_SEAT_LOGIN  4U

/* The other end of what the next sd_bus_open_system() opens, on the same loop. */
void peer_bus_open(sd_event *event);
void peer_bus_close(void);

/* text is NUL-terminated. */
void peer_bus_do(const BusDatagram *datagram, const char *text);
/* How many calls of a method have not been answered. */
unsigned peer_bus_waiting(uint32_t what);
/* Whether logind says that the session at the seat is locked. */
bool peer_bus_locked(void);
