/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>

#include "client.h"

int pause_main(sd_bus *bus, const char *seconds) {
        unsigned long number = 0;
        char *end;

        if (seconds) {
                errno = 0;
                number = strtoul(seconds, &end, 10);
                if (seconds[0] < '0' || seconds[0] > '9' || *end || errno || number == 0 ||
                    number > UINT32_MAX) {
                        fprintf(stderr, "That is no number of seconds: %s\n", seconds);
                        return -1;
                }
        }
        return client_call(bus, "Pause", "u", (uint32_t) number);
}
