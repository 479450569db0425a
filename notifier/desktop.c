/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop.h"

#include <systemd/sd-bus.h>

#include "log.h"

#define NOTIFIER_NAME "org.streamsight.Notifier1"
#define SERVICE_NAME  "org.freedesktop.Notifications"
#define SERVICE_PATH  "/org/freedesktop/Notifications"
#define ICON          "media-record" /* of the Icon Naming Specification */

/* Of the Desktop Notifications Specification. */
#define URGENCY_NORMAL   1
#define URGENCY_CRITICAL 2
#define EXPIRE_DEFAULT   (-1)
#define EXPIRE_NEVER     0

struct Desktop {
        sd_event *event;
        sd_bus *bus;
        sd_bus_slot *showing; /* an answer is awaited … */
        bool again;           /* … and there is something newer to show */
        uint32_t id;          /* of the notification that is shown; 0: none */
        Notice notice;
};

void notice_done(Notice *notice) {
        free(notice->summary);
        free(notice->body);
        *notice = (Notice){};
}

static void desktop_send(Desktop *desktop);

static int on_shown(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        Desktop *desktop = userdata;
        int r;

        desktop->showing = sd_bus_slot_unref(desktop->showing);
        if (sd_bus_message_is_method_error(message, NULL)) {
                desktop->id = 0;
                log_notice("The desktop cannot show \"%s\": %s", desktop->notice.summary,
                           sd_bus_message_get_error(message)->message);
        } else {
                r = sd_bus_message_read(message, "u", &desktop->id);
                if (r < 0)
                        log_warning_errno(r, "The desktop answers in an unknown way: %m");
        }
        if (desktop->again)
                desktop_send(desktop);
        return 0;
}

static void desktop_send(Desktop *desktop) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        const Notice *notice = &desktop->notice;
        int r;

        desktop->again = desktop->showing;
        if (desktop->showing)
                return;
        r = sd_bus_message_new_method_call(desktop->bus, &call, SERVICE_NAME, SERVICE_PATH, SERVICE_NAME,
                                           "Notify");
        if (r >= 0)
                r = sd_bus_message_append(call, "susssas", "StreamSight", desktop->id, ICON, notice->summary,
                                          notice->body, 0);
        if (r >= 0)
                r = sd_bus_message_append(call, "a{sv}", 1, "urgency", "y",
                                          notice->lasting ? URGENCY_CRITICAL : URGENCY_NORMAL);
        if (r >= 0)
                r = sd_bus_message_append(call, "i", notice->lasting ? EXPIRE_NEVER : EXPIRE_DEFAULT);
        if (r >= 0)
                r = sd_bus_call_async(desktop->bus, &desktop->showing, call, on_shown, desktop, 0);
        if (r < 0)
                sd_event_exit(desktop->event, log_error_errno(r, "Cannot send a notification: %m"));
}

void desktop_show(Desktop *desktop, Notice *notice) {
        log_info("%s: %s", notice->summary, notice->body);
        notice_done(&desktop->notice);
        desktop->notice = *notice;
        *notice = (Notice){};
        desktop_send(desktop);
}

/* A notification service has come, or gone: what the old one showed is not on the screen any more. */
static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        Desktop *desktop = userdata;
        const char *owner;
        int r;

        r = sd_bus_message_read(message, "sss", NULL, NULL, &owner);
        if (r < 0)
                return r;
        desktop->id = 0;
        if (owner[0] && desktop->notice.lasting)
                desktop_send(desktop);
        return 0;
}

int desktop_new(Desktop **ret, sd_event *event) {
        _cleanup_(desktop_freep) Desktop *desktop = calloc(1, sizeof(*desktop));
        int r;

        if (!desktop)
                return -ENOMEM;
        desktop->event = event;
        r = sd_bus_open_user_with_description(&desktop->bus, "session");
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(desktop->bus, true);
        if (r >= 0)
                r = sd_bus_attach_event(desktop->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_add_match(
                                desktop->bus, NULL,
                                "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                                "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                "arg0='" SERVICE_NAME "'",
                                on_owner, desktop);
        if (r >= 0)
                r = sd_bus_request_name(desktop->bus, NOTIFIER_NAME, 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(desktop);
        return 0;
}

Desktop *desktop_free(Desktop *desktop) {
        if (!desktop)
                return NULL;
        sd_bus_slot_unref(desktop->showing);
        sd_bus_flush_close_unref(desktop->bus);
        notice_done(&desktop->notice);
        free(desktop);
        return NULL;
}
