/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include <getopt.h>
#include <string.h>

#include "agent-limits.h"
#include "log.h"
#include "names.h"

int settings_parse_arguments(Settings *settings, int argc, char *argv[]) {
        enum { OPTION_VERSION = 256, OPTION_CONFIG, OPTION_FRAME, OPTION_BROKER };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                { "config", required_argument, NULL, OPTION_CONFIG },
                { "frame-socket", required_argument, NULL, OPTION_FRAME },
                { "broker-socket", required_argument, NULL, OPTION_BROKER },
                {},
        };
        int c;

        *settings = (Settings){
                .config_path = STREAMSIGHT_AGENT_CONFIG,
                .frame_socket = STREAMSIGHT_SOCKET_FRAME,
                .broker_socket = STREAMSIGHT_SOCKET_BROKER,
        };
        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        printf("%s [--config=FILE] [--frame-socket=PATH] [--broker-socket=PATH] [--help] [--version]\n\n"
                               "Encodes and uploads StreamSight's recordings. Started by systemd.\n",
                               argv[0]);
                        return 0;
                case OPTION_VERSION:
                        puts("streamsight-uploadd " STREAMSIGHT_VERSION);
                        return 0;
                case OPTION_CONFIG:
                        settings->config_path = optarg;
                        break;
                case OPTION_FRAME:
                        settings->frame_socket = optarg;
                        break;
                case OPTION_BROKER:
                        settings->broker_socket = optarg;
                        break;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                log_error("Unexpected argument: %s", argv[optind]);
                return -EINVAL;
        }
        return 1;
}

int settings_load(Settings *settings) {
        /* The file is also brokerd's: what is not ours is checked there, but must be known here. */
        _cleanup_free_ char *url = NULL, *control_ca_file = NULL, *recording = NULL, *error = NULL;
        uint64_t frames_per_second, quality, bytes, cpu, pause;
        bool record_locked;
        const ConfigItem items[] = {
                { "ControlPlane", "URL", config_parse_string, AGENT_TEXT_MAX, &url },
                { "ControlPlane", "CAFile", config_parse_string, AGENT_TEXT_MAX, &control_ca_file },
                { "Bucket", "Hosts", config_parse_words, AGENT_BUCKET_HOSTS_MAX, &settings->bucket_hosts },
                { "Bucket", "CAFile", config_parse_string, AGENT_TEXT_MAX, &settings->bucket_ca_file },
                { "Capture", "Recording", config_parse_string, 16, &recording },
                { "Capture", "MaxFramesPerSecond", config_parse_uint, CAPTURE_FRAMES_PER_SECOND_MAX,
                  &frames_per_second },
                { "Capture", "MaxJPEGQuality", config_parse_uint, CAPTURE_JPEG_QUALITY_MAX, &quality },
                { "Capture", "MaxBytesPerMinute", config_parse_uint, CAPTURE_BYTES_PER_MINUTE_MAX, &bytes },
                { "Capture", "MaxCPUMillisecondsPerSecond", config_parse_uint, CAPTURE_CPU_MS_PER_SECOND_MAX,
                  &cpu },
                { "Capture", "MaxPauseSeconds", config_parse_uint, CAPTURE_PAUSE_SECONDS_MAX, &pause },
                { "Capture", "RecordLocked", config_parse_bool, 0, &record_locked },
        };

        int r = config_load(settings->config_path, items, ELEMENTSOF(items), &error);
        if (r < 0)
                return log_error_errno(r, "Cannot read the configuration: %s", error ?: strerror(-r));
        return 0;
}

void settings_done(Settings *settings) {
        config_words_free(settings->bucket_hosts);
        free(settings->bucket_ca_file);
}
