/* SPDX-License-Identifier: Apache-2.0 */

/* agent.conf at the ends of what it may say: compiled once for each of its readers, which must take and
 * refuse the same. */

#include "unit.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent-limits.h"
#include "cleanup.h"
#include "settings.h"

static char path[] = "/tmp/streamsight-settings-XXXXXX";

static int read_settings(const char *text) {
        _cleanup_free_ char *option = NULL;
        Settings settings = {};
        FILE *file = fopen(path, "we");
        int r;

        assert_non_null(file);
        fputs(text, file);
        assert_int_equal(fclose(file), 0);
        assert_true(asprintf(&option, "--config=%s", path) > 0);
        optind = 1;
#ifdef READER_BROKERD
        r = settings_load(&settings, 2, (char *[]){ (char *) "test", option, NULL });
#else
        r = settings_parse_arguments(&settings, 2, (char *[]){ (char *) "test", option, NULL });
        if (r >= 0)
                r = settings_load(&settings);
#endif
        settings_done(&settings);
        return r < 0 ? r : 0;
}

static void takes(const char *section, const char *key, const char *value, bool good) {
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text, "[%s]\n%s=%s\n", section, key, value) > 0);
        int r = read_settings(text);
        if ((r >= 0) != good)
                fail_msg("%s= of %zu bytes, %.40s…: %s", key, strlen(value), value,
                         good ? "refused" : "taken");
}

/* n bytes that begin with start. */
static char *filled(const char *start, size_t n) {
        char *text = malloc(n + 1);

        assert_non_null(text);
        memset(text, 'x', n);
        memcpy(text, start, strlen(start));
        text[n] = '\0';
        return text;
}

static void test_lengths(void **state _unused_) {
        static const struct {
                const char *section, *key, *start;
        } texts[] = {
                { "ControlPlane", "URL", "https://api.example.org/" },
                { "ControlPlane", "CAFile", "/" },
                { "Bucket", "CAFile", "/" },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                for (size_t more = 0; more < 2; more++) {
                        _cleanup_free_ char *value = filled(texts[i].start, AGENT_TEXT_MAX + more);
                        takes(texts[i].section, texts[i].key, value, more == 0);
                }
}

static void test_hosts(void **state _unused_) {
        char list[2 * (AGENT_BUCKET_HOSTS_MAX + 1) + 1] = "";

        for (unsigned i = 0; i < AGENT_BUCKET_HOSTS_MAX; i++)
                strcat(list, "h ");
        takes("Bucket", "Hosts", list, true);
        strcat(list, "h");
        takes("Bucket", "Hosts", list, false);
}

static void test_numbers(void **state _unused_) {
        static const struct {
                const char *key;
                uint64_t most;
        } numbers[] = {
                { "MaxFramesPerSecond", CAPTURE_FRAMES_PER_SECOND_MAX },
                { "MaxJPEGQuality", CAPTURE_JPEG_QUALITY_MAX },
                { "MaxBytesPerMinute", CAPTURE_BYTES_PER_MINUTE_MAX },
                { "MaxCPUMillisecondsPerSecond", CAPTURE_CPU_MS_PER_SECOND_MAX },
                { "MaxPauseSeconds", CAPTURE_PAUSE_SECONDS_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                for (uint64_t more = 0; more < 2; more++) {
                        char value[32];

                        snprintf(value, sizeof(value), "%llu",
                                 (unsigned long long) (numbers[i].most + more));
                        takes("Capture", numbers[i].key, value, more == 0);
                }
        takes("Capture", "RecordLocked", "yes", true);
        takes("Capture", "RecordLocked", "perhaps", false);
}

static int make_file(void **state _unused_) {
        int fd = mkstemp(path);

        return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state _unused_) {
        return unlink(path);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lengths),
                cmocka_unit_test(test_hosts),
                cmocka_unit_test(test_numbers),
        };
        return cmocka_run_group_tests(tests, make_file, remove_file);
}
