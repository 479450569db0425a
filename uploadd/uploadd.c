/* SPDX-License-Identifier: Apache-2.0 */
#include "uploadd.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "broker.h"
#include "capture.h"
#include "log.h"
#include "main.h"
#include "recording.h"
#include "sandbox.h"
#include "upload.h"
#include "uploadd-sandbox.h"
#include "watchdog.h"
#include "wire-socket.h"

#define STOP_TIMEOUT UINT64_C(20000000) /* µs; TimeoutStopSec= of the unit is longer */

void uploadd_check_stopped(Uploadd *uploadd) {
        if (!uploadd->stopping)
                return;
        for (const Segment *segment = uploadd->segments.first; segment; segment = segment->next)
                if (!segment->uploaded || broker_connected(uploadd->broker))
                        return;
        sd_event_exit(uploadd->event, 0);
}

static int on_stop_timeout(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Uploadd *uploadd = userdata;
        uint32_t n = 0;

        for (const Segment *segment = uploadd->segments.first; segment; segment = segment->next)
                n += !segment->uploaded;
        if (n > 0)
                log_error("Stopping with %u segments that could not be uploaded: they are lost.", n);
        return sd_event_exit(uploadd->event, 0);
}

int uploadd_stop(Uploadd *uploadd) {
        int r;

        if (uploadd->stopping)
                return 0;
        notify("STOPPING=1\nSTATUS=Uploading what is finished.");
        r = sd_event_add_time_relative(uploadd->event, &uploadd->stopping, CLOCK_BOOTTIME, STOP_TIMEOUT, 0,
                                       on_stop_timeout, uploadd);
        if (r < 0)
                return r;
        recording_end(uploadd);
        uploadd_check_stopped(uploadd);
        return 0;
}

static int on_signal(sd_event_source *source _unused_, const struct signalfd_siginfo *info _unused_,
                     void *userdata) {
        return uploadd_stop(userdata);
}

static int handle_signals(Uploadd *uploadd) {
        static const int signals[] = { SIGTERM, SIGINT };
        sigset_t set;
        int r;

        (void) sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void) sigaddset(&set, signals[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_event_add_signal(uploadd->event, NULL, signals[i], on_signal, uploadd);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What OpenSSL would otherwise open at the first use: its configuration, providers and the random generator.
 */
static int prepare_openssl(void) {
        uint8_t bytes[EVP_MAX_MD_SIZE];
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());

        SSL_CTX_free(context);
        return context && EVP_Digest("", 0, bytes, NULL, EVP_sha256(), NULL) == 1 &&
                                               EVP_Digest("", 0, bytes, NULL, EVP_md5(), NULL) == 1
                               ? 0
                               : -EIO;
}

static int uploadd_start(Uploadd *uploadd) {
        int r;

        r = sd_event_default(&uploadd->event);
        if (r < 0)
                return log_error_errno(r, "Cannot make an event loop: %m");
        r = handle_signals(uploadd);
        if (r < 0)
                return log_error_errno(r, "Cannot handle signals: %m");
        r = prepare_openssl();
        if (r < 0)
                return log_error_errno(r, "Cannot initialise OpenSSL: %m");
        r = http_client_new(&uploadd->http, uploadd->event, uploadd->settings.bucket_ca_file,
                            "streamsight-uploadd/" STREAMSIGHT_VERSION);
        if (r < 0)
                return log_error_errno(r,
                                       "Cannot read certificates from %s, for [Bucket] CAFile= of %s: %m%s",
                                       uploadd->settings.bucket_ca_file ?: HTTP_CA_FILE_DEFAULT,
                                       uploadd->settings.config_path,
                                       http_ca_file_hint(r, uploadd->settings.bucket_ca_file));
        r = capture_new(&uploadd->capture, uploadd);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare capture: %m");
        r = broker_new(&uploadd->broker, uploadd);
        if (r < 0)
                return log_error_errno(r, "Cannot prepare the connection to brokerd: %m");
        if (!uploadd->settings.bucket_hosts)
                log_notice("No bucket host is pinned, so nothing will be uploaded: set Hosts= in [Bucket] of %s.",
                           uploadd->settings.config_path);
        return 0;
}

static void uploadd_done(Uploadd *uploadd) {
        uploadd->broker = broker_free(uploadd->broker);
        uploadd->capture = capture_free(uploadd->capture);
        for (Segment *segment = uploadd->segments.first; segment; segment = segment->next)
                upload_cancel(segment);
        segments_done(&uploadd->segments);
        http_client_free(uploadd->http);
        sd_event_source_disable_unref(uploadd->stopping);
        sd_event_unref(uploadd->event);
        settings_done(&uploadd->settings);
}

static const char *stuck(uint64_t patience, void *userdata) {
        const Uploadd *uploadd = userdata;

        if (http_client_stuck(uploadd->http, patience))
                return "an upload does not end";
        return capture_stuck(uploadd->capture, patience);
}

static int run(int argc, char *argv[]) {
        _cleanup_(uploadd_done) Uploadd uploadd = {};
        int r;

        r = settings_parse_arguments(&uploadd.settings, argc, argv);
        if (r <= 0)
                return r;
        r = sandbox_prepare();
        if (r < 0)
                return log_error_errno(r, "Cannot forbid new privileges and core files: %m");
        r = wire_know_domain();
        if (r < 0)
                return log_error_errno(r, "Cannot see its own SELinux domain: %m");
        r = settings_load(&uploadd.settings);
        if (r < 0)
                return r;
        r = uploadd_start(&uploadd);
        if (r < 0)
                return r;
        r = watchdog_start(uploadd.event, stuck, &uploadd);
        if (r < 0)
                return log_error_errno(r, "Cannot enable the watchdog: %m");
        /* Arming the first timer reads the boot id (sd_event_add_time(3) spreads wake-ups by it). */
        r = sd_event_run(uploadd.event, 0);
        if (r < 0)
                return log_error_errno(r, "The event loop failed: %m");
        r = uploadd_sandbox_enter(&uploadd.settings);
        if (r < 0)
                return r;
        notify("READY=1");
        r = sd_event_loop(uploadd.event);
        if (r < 0)
                return log_error_errno(r, "The event loop failed: %m");
        return 0;
}

DEFINE_MAIN("streamsight-uploadd", run)
