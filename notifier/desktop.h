/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One notification on the desktop, which each call changes: org.freedesktop.Notifications of the Desktop
 * Notifications Specification 1.2, on the session's bus. */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "cleanup.h"

typedef struct Desktop Desktop;

typedef struct Notice {
        char *summary; /* plain text */
        char *body;    /* may be taken for markup: of our own words alone */
        bool lasting;  /* stays until it is changed or dismissed, is urgent, and is shown to a notification
                          service that comes later */
} Notice;

void notice_done(Notice *notice);

/* Connects to the session's bus; the loop ends with an error when that is gone. -EEXIST: another notifier is
 * on it already. */
int desktop_new(Desktop **ret, sd_event *event);
Desktop *desktop_free(Desktop *desktop);
DEFINE_CLEANUP(Desktop *, desktop_freep, desktop_free)

/* Takes the notice over and shows it, now or as soon as there is who can. */
void desktop_show(Desktop *desktop, Notice *notice);
