/* SPDX-License-Identifier: Apache-2.0 */

#include "settings.h"

#include <getopt.h>
#include <string.h>

#include "config.h"
#include "http-url.h"
#include "log.h"
#include "names.h"

static void settings_help(void) {
        puts("streamsight-brokerd [OPTIONS…]\n\n"
             "Decides when the screen is recorded, speaks to the control plane and serves\n"
             "org.streamsight.Agent1. Started by systemd; see streamsight(1).\n\n"
             "  --config=PATH          instead of " STREAMSIGHT_AGENT_CONFIG
             "\n"
             "  --control-socket=PATH  instead of " STREAMSIGHT_SOCKET_CONTROL
             "\n"
             "  --uploadd-user=NAME    instead of " STREAMSIGHT_USER_UPLOADD
             "\n"
             "  --version, --help");
}

static int settings_parse_arguments(Settings *settings, int argc, char *argv[]) {
        enum { ARG_CONFIG = 0x100, ARG_CONTROL, ARG_USER, ARG_VERSION, ARG_HELP };
        static const struct option options[] = {
                { "config", required_argument, NULL, ARG_CONFIG },
                { "control-socket", required_argument, NULL, ARG_CONTROL },
                { "uploadd-user", required_argument, NULL, ARG_USER },
                { "version", no_argument, NULL, ARG_VERSION },
                { "help", no_argument, NULL, ARG_HELP },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case ARG_CONFIG:
                        settings->config = optarg;
                        break;
                case ARG_CONTROL:
                        settings->control_socket = optarg;
                        break;
                case ARG_USER:
                        settings->uploadd_user = optarg;
                        break;
                case ARG_VERSION:
                        puts("streamsight-brokerd " STREAMSIGHT_VERSION);
                        return 0;
                case ARG_HELP:
                        settings_help();
                        return 0;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                log_error("Unexpected argument \"%s\".", argv[optind]);
                return -EINVAL;
        }
        return 1;
}

static int settings_parse_mode(const char *value, uint64_t unused _unused_, void *target) {
        return recording_mode_from_string(value, target);
}

static int settings_parse_positive(const char *value, uint64_t maximum, void *target) {
        uint64_t number;
        int r = config_parse_uint(value, maximum, &number);

        if (r < 0)
                return r;
        if (number == 0)
                return -ERANGE;
        *(uint32_t *) target = (uint32_t) number;
        return 0;
}

static int settings_parse_seconds(const char *value, uint64_t maximum, void *target) {
        uint64_t number;
        int r = config_parse_uint(value, maximum, &number);

        if (r >= 0)
                *(uint32_t *) target = (uint32_t) number;
        return r;
}

static int settings_parse_bytes_ceiling(const char *value, uint64_t maximum, void *target) {
        uint64_t number;
        int r = config_parse_uint(value, maximum, &number);

        if (r < 0)
                return r;
        if (number < CAPTURE_BYTES_PER_MINUTE_MIN)
                return -ERANGE;
        *(uint64_t *) target = number;
        return 0;
}

/* The audience of every assertion is this text, so it has one spelling. */
static int settings_check_url(Settings *settings, char **ret_error) {
        _cleanup_free_ char *host = NULL;
        uint16_t port;

        if (!settings->url)
                return 0;
        for (size_t n = strlen(settings->url); n > 0 && settings->url[n - 1] == '/'; n--)
                settings->url[n - 1] = '\0';
        if (http_url_parse(settings->url, &host, &port) >= 0 && !strchr(settings->url, '?'))
                return 0;
        if (asprintf(ret_error,
                     "%s: [ControlPlane] URL= must be an https URL such as https://api.example.org",
                     settings->config) < 0)
                *ret_error = NULL;
        return -EINVAL;
}

/* The file alone, into what has its defaults. */
static int settings_read(Settings *settings, char **ret_error) {
        const ConfigItem items[] = {
                { "ControlPlane", "URL", config_parse_string, AGENT_TEXT_MAX, &settings->url },
                { "ControlPlane", "CAFile", config_parse_string, AGENT_TEXT_MAX, &settings->ca_file },
                { "Bucket", "Hosts", config_parse_words, AGENT_BUCKET_HOSTS_MAX, &settings->bucket_hosts },
                { "Bucket", "CAFile", config_parse_string, AGENT_TEXT_MAX, &settings->bucket_ca_file },
                { "Capture", "Recording", settings_parse_mode, 0, &settings->limits.recording },
                { "Capture", "MaxFramesPerSecond", settings_parse_positive, CAPTURE_FRAMES_PER_SECOND_MAX,
                  &settings->limits.frames_per_second },
                { "Capture", "MaxJPEGQuality", settings_parse_positive, CAPTURE_JPEG_QUALITY_MAX,
                  &settings->limits.jpeg_quality },
                { "Capture", "MaxBytesPerMinute", settings_parse_bytes_ceiling, CAPTURE_BYTES_PER_MINUTE_MAX,
                  &settings->limits.bytes_per_minute },
                { "Capture", "MaxCPUMillisecondsPerSecond", settings_parse_positive,
                  CAPTURE_CPU_MS_PER_SECOND_MAX, &settings->limits.cpu_ms_per_second },
                { "Capture", "MaxPauseSeconds", settings_parse_seconds, CAPTURE_PAUSE_SECONDS_MAX,
                  &settings->limits.pause_seconds },
                { "Capture", "RecordLocked", config_parse_bool, 0, &settings->limits.record_locked },
        };
        int r;

        settings->limits = (CaptureLimits){ .recording = RECORDING_AUTOMATIC,
                                            .frames_per_second = 5,
                                            .jpeg_quality = 90,
                                            .pause_seconds = 3600 };
        r = config_load(settings->config, items, ELEMENTSOF(items), ret_error);
        settings->limits.bucket_hosts = settings->bucket_hosts;
        return r < 0 ? r : settings_check_url(settings, ret_error);
}

int settings_load(Settings *settings, int argc, char *argv[]) {
        const char *state = getenv("STATE_DIRECTORY"); /* systemd.exec(5), StateDirectory= */
        _cleanup_free_ char *error = NULL;
        int r;

        *settings = (Settings){
                .config = STREAMSIGHT_AGENT_CONFIG,
                .control_socket = STREAMSIGHT_SOCKET_CONTROL,
                .uploadd_user = STREAMSIGHT_USER_UPLOADD,
        };
        r = settings_parse_arguments(settings, argc, argv);
        if (r <= 0)
                return r;
        if (!(settings->state_directory = strdup(state ?: "/var/lib/streamsight")))
                return log_error_errno(ENOMEM, "Cannot start: %m");
        r = settings_read(settings, &error);
        if (r < 0)
                return log_error_errno(r, "Cannot read the configuration: %s", error ?: strerror(-r));
        return 1;
}

static bool same_text(const char *a, const char *b) {
        return strcmp(a ?: "", b ?: "") == 0;
}

static bool same_words(char *const *a, char *const *b) {
        for (; a && b && *a && *b; a++, b++)
                if (strcmp(*a, *b) != 0)
                        return false;
        return (!a || !*a) && (!b || !*b);
}

int settings_reload(Settings *settings, SettingsChange *ret, char **ret_error) {
        Settings fresh = { .config = settings->config };
        int r;

        r = settings_read(&fresh, ret_error);
        if (r >= 0) {
                *ret = (SettingsChange){
                        .bucket = !same_words(settings->bucket_hosts, fresh.bucket_hosts) ||
                                  !same_text(settings->bucket_ca_file, fresh.bucket_ca_file),
                        .control_plane = !same_text(settings->url, fresh.url) ||
                                         !same_text(settings->ca_file, fresh.ca_file),
                };
                /* The old ones go with fresh. */
                char **hosts = settings->bucket_hosts;
                char *ca_file = settings->bucket_ca_file;
                settings->limits = fresh.limits;
                settings->bucket_hosts = fresh.bucket_hosts;
                settings->bucket_ca_file = fresh.bucket_ca_file;
                fresh.bucket_hosts = hosts;
                fresh.bucket_ca_file = ca_file;
        }
        settings_done(&fresh);
        return r;
}

void settings_done(Settings *settings) {
        free(settings->state_directory);
        free(settings->url);
        free(settings->ca_file);
        config_words_free(settings->bucket_hosts);
        free(settings->bucket_ca_file);
}
