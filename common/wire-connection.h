/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One end of one of the sockets of wire.h on an sd-event loop. It receives by a table, message → size →
 * descriptors → when permitted → handler, and ends the connection at the first thing that is not in it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "cleanup.h"

typedef struct WireConnection WireConnection;

/* States are the program's own, as bits; a connection starts in WIRE_STATE_NEW and WIRE_HELLO moves it on to
 * WIRE_STATE_READY. */
#define WIRE_STATE_NEW   1U
#define WIRE_STATE_READY 2U

/* message points to a struct of exactly the rule's size, aligned for any type. The descriptors in fds stay
 * the connection's, which closes them after the handler, unless the handler took one and set its entry to
 * -1. A negative errno ends the connection. */
typedef int (*WireHandler)(WireConnection *connection, const void *message, int *fds, size_t n_fds,
                           void *userdata);

typedef struct WireRule {
        const char *name; /* for the journal */
        uint32_t type;
        uint32_t size; /* of the struct: exact */
        uint32_t fds_min, fds_max;
        uint32_t states; /* in which it is permitted */
        WireHandler handler;
} WireRule;

/* Called once when the connection has ended: by the peer (error 0), or for an offence or a failure (negative
 * errno: -EBADMSG wrong type, size or string, -EPROTO wrong time, -EMFILE wrong number of descriptors or
 * truncated, -EPROTONOSUPPORT wrong version, -EAGAIN the peer does not read, -EDQUOT more messages in a
 * second than all outputs at the highest rate could need, four times over). detail is a line for the
 * journal. The handler is to unref the connection. */
typedef void (*WireClosed)(WireConnection *connection, int error, const char *detail, void *userdata);

/* Takes fd over, a connected non-blocking SOCK_SEQPACKET socket, on success; sends WIRE_HELLO and receives
 * from then on. rules (which must outlive the connection) does not name WIRE_HELLO. */
int wire_connection_new(WireConnection **ret, sd_event *event, int fd, const WireRule *rules, size_t n_rules,
                        WireClosed closed, void *userdata);

/* Ends it without calling closed; allowed within a handler. Returns NULL. */
WireConnection *wire_connection_free(WireConnection *connection);
DEFINE_CLEANUP(WireConnection *, wire_connection_freep, wire_connection_free)

/* Sends one message with n_fds descriptors, which remain the caller's. Never blocks: -EAGAIN says that the
 * peer has stopped reading, and the caller should give it up. */
int wire_connection_send(WireConnection *connection, const void *message, size_t size, const int *fds,
                         size_t n_fds) _must_check_;

uint32_t wire_connection_state(const WireConnection *connection);

/* As of sd_event_source_set_priority(3): of several connections that have something to be received, which is
 * first. 0 or a negative errno. */
int wire_connection_set_priority(WireConnection *connection, int64_t priority) _must_check_;

/* True if the array of size bytes holds a NUL, and before it text that text_is_clean(). */
bool wire_string_ok(const char *array, size_t size);
