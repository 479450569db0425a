/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "log.h"
#include "notify.h"

/* Defines main(): names the program for the journal, connects to systemd, calls run(argc, argv), which reads
 * as the list of what the program does, and turns its result (0 or a negative errno) into the exit status.
 */
#define DEFINE_MAIN(identifier, run)                                                                        \
        int main(int argc, char *argv[]) {                                                                  \
                log_open(identifier);                                                                       \
                notify_open();                                                                              \
                int r = run(argc, argv);                                                                    \
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;                                                 \
        }
