/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Socket pairs in the place of common/wire-socket.c's sockets with names: nothing on disk, and whoever
 * fuzzes need not be root. */

/* Makes a connection to a daemon that listens on the channel, in place of the one before; pid is what it
 * sees as the peer's. Nothing where the daemon is the one who connects. */
void wire_pairs_connect(unsigned channel, unsigned pid);

/* The peer's end of the latest connection; -1: none. */
int wire_pairs_peer(unsigned channel);

/* Closes the peer's end. */
void wire_pairs_hang_up(unsigned channel);

/* Closes what no daemon has taken, and forgets who listens. */
void wire_pairs_close(void);

/* Ends the program, with errno's text. */
_Noreturn void fuzz_die(const char *what);
