/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <string.h>
#include <sys/stat.h>

#include "config.h"

typedef struct Settings {
        char *url;
        char **hosts;
        uint64_t rate;
        bool enabled;
} Settings;

static char folder[] = "/tmp/streamsight-config-XXXXXX";

static void put(const char *name, const char *text, size_t length) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, length, file), length);
        fclose(file);
}

static int load(Settings *settings, char **ret_error) {
        const ConfigItem items[] = {
                { "Server", "URL", config_parse_string, 64, &settings->url },
                { "Server", "Hosts", config_parse_words, 4, &settings->hosts },
                { "Capture", "Rate", config_parse_uint, 100, &settings->rate },
                { "Capture", "Enabled", config_parse_bool, 0, &settings->enabled },
        };
        char path[256];
        snprintf(path, sizeof(path), "%s/agent.conf", folder);
        return config_load(path, items, ELEMENTSOF(items), ret_error);
}

static void settings_done(Settings *settings) {
        free(settings->url);
        config_words_free(settings->hosts);
}

static int setup(void **state _unused_) {
        char path[256];
        strcpy(folder + strlen(folder) - 6, "XXXXXX");
        if (!mkdtemp(folder))
                return -1;
        snprintf(path, sizeof(path), "%s/agent.conf.d", folder);
        return mkdir(path, 0700);
}

static int teardown(void **state _unused_) {
        char command[256];
        snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        return system(command);
}

#define PUT(name, text) put(name, text, sizeof(text) - 1)

static void test_reads_file_and_drop_ins(void **state _unused_) {
        Settings s = {};
        PUT("agent.conf",
            "; a comment\n[Server]\nURL = https://a.example.org\nHosts=one two\n[Capture]\nRate=5\n");
        PUT("agent.conf.d/20-b.conf", "[Capture]\nRate=7\nEnabled=yes\n[Server]\nHosts=three\n");
        PUT("agent.conf.d/10-a.conf", "[Capture]\nRate=6\n");
        PUT("agent.conf.d/30-not-one", "[Capture]\nRate=8\n");
        assert_int_equal(load(&s, NULL), 0);
        assert_string_equal(s.url, "https://a.example.org");
        assert_string_equal(s.hosts[0], "one");
        assert_string_equal(s.hosts[2], "three");
        assert_null(s.hosts[3]);
        assert_int_equal(s.rate, 7);
        assert_true(s.enabled);
        settings_done(&s);
}

static void refuses(const char *text, size_t length, int expected, const char *saying) {
        Settings s = {};
        _cleanup_free_ char *error = NULL;
        put("agent.conf", text, length);
        assert_int_equal(load(&s, &error), expected);
        assert_non_null(error);
        if (!strstr(error, saying))
                fail_msg("\"%s\" does not say \"%s\"", error, saying);
        settings_done(&s);
}

#define REFUSES(text, expected, saying) refuses(text, sizeof(text) - 1, expected, saying)

static void test_refuses_what_it_does_not_know(void **state _unused_) {
        REFUSES("[Server]\nUrl=x\n", -EINVAL, "agent.conf:2: [Server] Url= is not a known setting");
        REFUSES("[Srever]\nURL=x\n", -EINVAL, "agent.conf:2: [Srever] URL= is not a known setting");
        REFUSES("[Capture]\nRate=101\n", -ERANGE, "agent.conf:2: [Capture] Rate= is out of range");
        REFUSES("[Capture]\nRate=18446744073709551617\n", -ERANGE, "out of range");
        REFUSES("[Capture]\nRate=-1\n", -EINVAL, "invalid value");
        REFUSES("[Capture]\nRate=\n", -EINVAL, "invalid value");
        REFUSES("[Capture]\nEnabled=maybe\n", -EINVAL, "invalid value");
        REFUSES("[Server]\nHosts=a b c d e\n", -ERANGE, "out of range");
        REFUSES("[Server]\nURL\n", -EINVAL, "agent.conf:2: neither");
        REFUSES("[Capture]\nRate=5\0\nEnabled=yes\n", -EINVAL, "Invalid argument");
}

static void test_refuses_long_lines_and_files(void **state _unused_) {
        static char text[70000];
        memset(text, 'x', sizeof(text));
        memcpy(text, "[Server]\nURL=", 13);
        text[300] = '\n';
        refuses(text, 301, -ERANGE, "agent.conf:2: line is longer");
        refuses(text, sizeof(text), -E2BIG, "agent.conf");
}

static void test_missing_file_is_said(void **state _unused_) {
        Settings s = {};
        _cleanup_free_ char *error = NULL;
        assert_int_equal(load(&s, &error), -ENOENT);
        assert_non_null(strstr(error, "agent.conf: No such file"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_reads_file_and_drop_ins, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refuses_what_it_does_not_know, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refuses_long_lines_and_files, setup, teardown),
                cmocka_unit_test_setup_teardown(test_missing_file_is_said, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
