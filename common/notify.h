/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tells systemd how the service is: sd_notify(3), over a socket that is there from the start (datagram.h).
 */

/* Connects to $NOTIFY_SOCKET; does nothing where there is none. Call once, after log_open(). */
void notify_open(void);

/* Assignments as of sd_notify(3), one a line: "READY=1". */
void notify(const char *state);
