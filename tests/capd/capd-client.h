/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The other end of capd's sockets, for programs of tests in a guest. It knows nothing but wire.h: not the
 * code that capd is made of. What goes wrong is printed, and ends the program. */

#include <stdbool.h>
#include <stddef.h>

#include "cleanup.h"
#include "wire.h"

typedef struct Answer {
        union {
                uint32_t type;
                struct wire_hello hello;
                struct wire_outputs outputs;
                struct wire_frame frame;
                struct wire_frame_none none;
                struct wire_frame_confirmed confirmed;
                struct wire_control_status status;
        };
        size_t size;
        int fds[WIRE_FRAME_FDS_MAX];
        uint32_t n_fds;
} Answer;

/* Prints "failed=WHAT errno=…" and ends with status 1. */
_noreturn_ void client_fail(const char *what);

/* The socket, not yet greeted. */
int client_connect(const char *path);

/* Hears HELLO, and says it. Refused: prints "closed" and ends with status 0. */
void client_hello(int fd);

/* Sends bytes, with so many descriptors of standard input. */
void client_say(int fd, const void *message, size_t size, int n_fds);

/* The next message; its descriptors are the caller's. False: capd has closed the connection. */
bool client_hear(int fd, Answer *ret);

/* Both. Closed: prints "closed" and ends with status 0. */
void client_ask(int fd, const void *message, size_t size, Answer *ret);

/* NEXT of an output, and its answer. */
void client_next(int fd, uint32_t output, Answer *ret);

void client_answer_close(Answer *answer);
