/* SPDX-License-Identifier: Apache-2.0 */

#include "notify.h"

#include <string.h>

#include "datagram.h"
#include "log.h"

static int notify_fd = -1;

void notify_open(void) {
        const char *address = getenv("NOTIFY_SOCKET");

        if (!address)
                return;
        notify_fd = datagram_connect(address);
        if (notify_fd < 0)
                log_warning_errno(notify_fd, "Cannot connect to systemd's socket %s: %m", address);
}

void notify(const char *state) {
        int r = notify_fd >= 0 ? datagram_send(notify_fd, state, strlen(state)) : 0;

        if (r < 0)
                log_warning_errno(r, "Cannot tell systemd: %m");
}
