/* SPDX-License-Identifier: Apache-2.0 */

#include "reload.h"

#include <string.h>

#include "bus.h"
#include "log.h"
#include "recorder.h"
#include "uploadd.h"
#include "uploads.h"

#define ERROR_CONFIGURATION "org.streamsight.Error.ConfigurationInvalid"

int reload_method(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *why = NULL;
        Broker *broker = userdata;
        SettingsChange change;
        int r;

        r = settings_reload(&broker->settings, &change, &why);
        if (r < 0)
                return sd_bus_error_setf(error, ERROR_CONFIGURATION,
                                         "The configuration stays as it was: %s.", why ?: strerror(-r));
        log_notice("%s was read again.", broker->settings.config);
        /* uploadd reads its pins when it starts, before it gives up reading files. */
        if (change.bucket)
                (void) uploadd_send_restart(broker->uploadd);
        recorder_evaluate(broker->recorder);
        uploads_retry_now(broker->uploads);
        bus_changed(broker->bus);
        return sd_bus_reply_method_return(
                        message, "s",
                        change.control_plane
                                        ? "[ControlPlane] has changed, which counts from the next start: "
                                          "systemctl restart streamsight-brokerd"
                                        : "");
}
