/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-policy.h"
#include "cleanup.h"

#define ROUNDS 200000

static uint64_t random_state;

/* xorshift64*, so that a failure can be repeated from its seed. */
static uint64_t draw(uint64_t bound) {
        random_state ^= random_state >> 12;
        random_state ^= random_state << 25;
        random_state ^= random_state >> 27;
        return (random_state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % bound;
}

static char *const hosts[] = { (char *) "s3.example.org", (char *) "S3.example.org:9000",
                               (char *) "[::1]:7480", (char *) "s3.example.net",
                               (char *) "s3.example.org:443" };
static const char *const asked[] = {
        "s3.example.org", "s3.example.org:9000", "s3.EXAMPLE.org:443", "[::1]:7480",
        "[::1]",          "s3.example.net:443",  "s3.example.com",     "",
        ":443",           "s3.example.org:",     "s3.example.org:x",   "s3.example.org:65536",
};
/* Which of hosts lets a policy's host through, as bits; worked out by hand. */
static const unsigned lets_through[] = { 1 | 16, 2, 1 | 16, 4, 0, 8, 0, 0, 0, 0, 0, 0 };

static unsigned draw_limits(CaptureLimits *limits, char **list) {
        unsigned chosen = (unsigned) draw(1 << ELEMENTSOF(hosts)), n = 0;
        for (unsigned i = 0; i < ELEMENTSOF(hosts); i++)
                if (chosen & (1U << i))
                        list[n++] = hosts[i];
        list[n] = NULL;
        *limits = (CaptureLimits){ (RecordingMode) draw(_RECORDING_MODE_MAX),
                                   (uint32_t) draw(101),
                                   (uint32_t) draw(101),
                                   draw(4),
                                   (uint32_t) draw(4),
                                   (uint32_t) draw(4),
                                   draw(2) == 1,
                                   list };
        return chosen;
}

static size_t draw_policy(CapturePolicy *policy) {
        size_t host = draw(ELEMENTSOF(asked));
        *policy = (CapturePolicy){
                .recording = (RecordingMode) draw(_RECORDING_MODE_MAX),
                .frames_per_second = (uint32_t) draw(101),
                .jpeg_quality = (uint32_t) draw(101),
                .segment_seconds = 1 + (uint32_t) draw(3600),
                .segment_bytes = CAPTURE_SEGMENT_BYTES_MIN + (uint32_t) draw(1 << 20),
                .bytes_per_minute = draw(4),
                .cpu_ms_per_second = (uint32_t) draw(4),
                .pause_seconds = (uint32_t) draw(4),
                .record_locked = draw(2) == 1,
        };
        strcpy(policy->bucket_host, asked[host]);
        return host;
}

/* A ceiling is kept by another: 0 is none. */
static bool within(uint64_t ceiling, uint64_t by) {
        return by == 0 || (ceiling > 0 && ceiling <= by);
}

static bool no_more(CaptureDecision a, CaptureDecision b) {
        return a.recording <= b.recording && a.frames_per_second <= b.frames_per_second &&
               a.jpeg_quality <= b.jpeg_quality && a.bucket_pinned <= b.bucket_pinned &&
               within(a.bytes_per_minute, b.bytes_per_minute) &&
               within(a.cpu_ms_per_second, b.cpu_ms_per_second) && a.pause_seconds <= b.pause_seconds &&
               a.record_locked <= b.record_locked;
}

static void test_remote_only_narrows(void **state _unused_) {
        const char *seed = getenv("STREAMSIGHT_SEED");
        uint64_t start = seed ? strtoull(seed, NULL, 10) : UINT64_C(88172645463325252);
        int recorded = 0;

        random_state = start;
        for (int i = 0; i < ROUNDS; i++) {
                char *list[ELEMENTSOF(hosts) + 1];
                CaptureLimits local;
                CapturePolicy remote;
                unsigned chosen = draw_limits(&local, list);
                size_t host = draw_policy(&remote);
                CaptureDecision d = policy_intersect(&local, &remote);
                bool pinned = (chosen & lets_through[host]) != 0;

                bool ok = d.recording <= local.recording && d.recording <= remote.recording &&
                          d.frames_per_second <= local.frames_per_second &&
                          d.frames_per_second <= remote.frames_per_second &&
                          d.jpeg_quality <= local.jpeg_quality && d.jpeg_quality <= remote.jpeg_quality &&
                          within(d.bytes_per_minute, local.bytes_per_minute) &&
                          within(d.bytes_per_minute, remote.bytes_per_minute) &&
                          within(d.cpu_ms_per_second, local.cpu_ms_per_second) &&
                          within(d.cpu_ms_per_second, remote.cpu_ms_per_second) &&
                          (d.bytes_per_minute == local.bytes_per_minute ||
                           d.bytes_per_minute == remote.bytes_per_minute) &&
                          (d.cpu_ms_per_second == local.cpu_ms_per_second ||
                           d.cpu_ms_per_second == remote.cpu_ms_per_second) &&
                          d.pause_seconds <= local.pause_seconds &&
                          d.pause_seconds <= remote.pause_seconds &&
                          (d.pause_seconds == local.pause_seconds ||
                           d.pause_seconds == remote.pause_seconds) &&
                          d.record_locked == (local.record_locked && remote.record_locked) &&
                          d.bucket_pinned == pinned &&
                          (d.recording == RECORDING_OFF ||
                           (d.frames_per_second > 0 && d.jpeg_quality > 0)) &&
                          d.segment_seconds == remote.segment_seconds &&
                          d.segment_bytes == remote.segment_bytes;

                /* It gives all that both allow … */
                if (d.frames_per_second > 0 && d.jpeg_quality > 0)
                        ok = ok && (d.recording == local.recording || d.recording == remote.recording);
                /* … and tightening either side never yields more. */
                CaptureLimits tighter = local;
                tighter.recording = (RecordingMode) draw(local.recording + 1);
                tighter.frames_per_second = (uint32_t) draw(local.frames_per_second + 1);
                tighter.jpeg_quality = (uint32_t) draw(local.jpeg_quality + 1);
                tighter.pause_seconds = (uint32_t) draw(local.pause_seconds + 1);
                tighter.record_locked = local.record_locked && draw(2) == 1;
                tighter.bucket_hosts = draw(4) == 0 ? NULL : local.bucket_hosts;
                ok = ok && no_more(policy_intersect(&tighter, &remote), d);
                CapturePolicy lower = remote;
                lower.recording = (RecordingMode) draw(remote.recording + 1);
                lower.frames_per_second = (uint32_t) draw(remote.frames_per_second + 1);
                lower.jpeg_quality = (uint32_t) draw(remote.jpeg_quality + 1);
                lower.pause_seconds = (uint32_t) draw(remote.pause_seconds + 1);
                lower.record_locked = remote.record_locked && draw(2) == 1;
                ok = ok && no_more(policy_intersect(&local, &lower), d);

                if (!ok)
                        fail_msg("round %i of seed %llu: local %u %u %u hosts %#x, remote %u %u %u \"%s\" → "
                                 "%u %u %u",
                                 i, (unsigned long long) start, local.recording, local.frames_per_second,
                                 local.jpeg_quality, chosen, remote.recording, remote.frames_per_second,
                                 remote.jpeg_quality, remote.bucket_host, d.recording, d.frames_per_second,
                                 d.jpeg_quality);
                recorded += d.recording != RECORDING_OFF;
        }
        assert_in_range(recorded, ROUNDS / 50, ROUNDS); /* the draw meets both sides of the rule */
}

static void test_without_policy_nothing(void **state _unused_) {
        char *list[] = { hosts[0], NULL };
        CaptureLimits local = { RECORDING_AUTOMATIC, 100, 100, .bucket_hosts = list };
        assert_int_equal(policy_intersect(&local, NULL).recording, RECORDING_OFF);
}

#define GOOD                                                                                                   \
        "{\"revision\":7,\"company\":\"Example Corp\",\"device_id\":\"0b9e5ad0-4c4b-4f0e-9a5e-2f1d7b1c0a11\"," \
        "\"employee\":\"\",\"recording\":\"automatic\",\"frames_per_second\":5,\"jpeg_quality\":85,"           \
        "\"segment_seconds\":60,\"segment_bytes\":8388608,\"bucket_host\":\"s3.example.org:9000\"}"

static void test_parses_the_documented_form(void **state _unused_) {
        CapturePolicy policy;
        char error[200];

        assert_int_equal(capture_policy_parse(GOOD, strlen(GOOD), &policy, error, sizeof(error)), 0);
        assert_int_equal(policy.revision, 7);
        assert_string_equal(policy.company, "Example Corp");
        assert_string_equal(policy.employee, "");
        assert_int_equal(policy.recording, RECORDING_AUTOMATIC);
        assert_int_equal(policy.frames_per_second, 5);
        assert_int_equal(policy.jpeg_quality, 85);
        assert_int_equal(policy.segment_seconds, 60);
        assert_int_equal(policy.segment_bytes, 8388608);
        assert_string_equal(policy.bucket_host, "s3.example.org:9000");
        assert_int_equal(policy.device.bytes[0], 0x0b);
        /* What is not said is not allowed. */
        assert_int_equal(policy.pause_seconds, 0);
        assert_false(policy.record_locked);
}

static void test_parses_what_may_be_left_out(void **state _unused_) {
        const char *json = "{\"pause_seconds\":600,\"record_locked\":true,";
        _cleanup_free_ char *text = NULL;
        CapturePolicy policy;
        char error[200];

        assert_true(asprintf(&text, "%s%s", json, &GOOD[1]) > 0);
        assert_int_equal(capture_policy_parse(text, strlen(text), &policy, error, sizeof(error)), 0);
        assert_int_equal(policy.pause_seconds, 600);
        assert_true(policy.record_locked);
}

/* GOOD with one part replaced. */
static void refuses(const char *part, const char *instead, const char *saying) {
        static char json[70000];
        CapturePolicy policy = { .revision = 99 };
        char error[200] = "";
        const char *at = strstr(GOOD, part);

        assert_non_null(at);
        snprintf(json, sizeof(json), "%.*s%s%s", (int) (at - GOOD), GOOD, instead, at + strlen(part));
        int r = capture_policy_parse(json, strlen(json), &policy, error, sizeof(error));
        if (r != -EBADMSG)
                fail_msg("%s was taken", json);
        if (!strstr(error, saying))
                fail_msg("\"%s\" does not say \"%s\"", error, saying);
        assert_int_equal(policy.revision, 99);
}

static void test_refuses_anything_else(void **state _unused_) {
        static char long_name[400];
        memset(long_name, 'x', 300);
        memcpy(long_name, "\"company\":\"", 11);
        strcat(long_name, "\"");

        refuses("\"revision\":7,", "", "\"revision\" is missing");
        refuses("7", "-1", "revision");
        refuses("7", "7.0", "revision");
        refuses("7", "\"7\"", "revision");
        refuses("7", "18446744073709551616", "JSON");
        refuses("\"company\":\"Example Corp\"", "\"company\":\"\\u001b[2J\"", "company");
        refuses("\"company\":\"Example Corp\"", "\"company\":\"\\u009b2J\"", "company");
        refuses("\"company\":\"Example Corp\"", "\"company\":\"\\ufffe\"", "company"); /* nor on the bus */
        refuses("\"company\":\"Example Corp\"", "\"company\":\"a\\u0000b\"", "JSON");
        refuses("\"company\":\"Example Corp\"", "\"company\":\"\xff\"", "JSON");
        refuses("\"company\":\"Example Corp\"", long_name, "company");
        refuses("0b9e5ad0-4c4b", "0b9e5ad04c4b", "device_id");
        refuses("0b9e5ad0-4c4b", "zz9e5ad0-4c4b", "device_id");
        refuses("automatic", "Automatic", "recording");
        refuses("\"automatic\"", "2", "recording");
        refuses("\"frames_per_second\":5", "\"frames_per_second\":5,\"bytes_per_minute\":999999",
                "bytes_per_minute");
        refuses("\"frames_per_second\":5", "\"frames_per_second\":5,\"bytes_per_minute\":4000000001",
                "bytes_per_minute");
        refuses("\"frames_per_second\":5", "\"frames_per_second\":5,\"bytes_per_minute\":null",
                "bytes_per_minute");
        refuses("\"frames_per_second\":5", "\"frames_per_second\":5,\"cpu_ms_per_second\":1001",
                "cpu_ms_per_second");
        refuses("\"frames_per_second\":5", "\"frames_per_second\":5,\"pause_seconds\":86401",
                "pause_seconds");
        refuses("\"frames_per_second\":5", "\"frames_per_second\":5,\"record_locked\":1", "record_locked");
        refuses("\"frames_per_second\":5", "\"frames_per_second\":0", "frames_per_second");
        refuses("\"frames_per_second\":5", "\"frames_per_second\":101", "frames_per_second");
        refuses("\"jpeg_quality\":85", "\"jpeg_quality\":4294967381", "jpeg_quality");
        refuses("\"segment_seconds\":60", "\"segment_seconds\":3601", "segment_seconds");
        refuses("8388608", "16777217", "segment_bytes");
        refuses("8388608", "1", "segment_bytes");
        refuses("s3.example.org:9000", "s3.example.org/x", "bucket_host");
        refuses("s3.example.org:9000", "a@s3.example.org", "bucket_host");
        refuses("{", "[{", "JSON");
        refuses("{\"revision\":7", "{\"revision\":7,\"revision\":7", "JSON");
        refuses("{", "{\"redact\":true,", "newer agent");
        refuses("}", "}}", "JSON");
        refuses("}", "", "JSON");
}

static void test_refuses_long_input(void **state _unused_) {
        static char json[CAPTURE_POLICY_JSON_MAX + 1];
        CapturePolicy policy;
        char error[200];

        memset(json, ' ', sizeof(json));
        memcpy(json, GOOD, strlen(GOOD));
        assert_int_equal(capture_policy_parse(json, sizeof(json) - 1, &policy, error, sizeof(error)), 0);
        assert_int_equal(capture_policy_parse(json, sizeof(json), &policy, error, sizeof(error)), -E2BIG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_remote_only_narrows),
                cmocka_unit_test(test_without_policy_nothing),
                cmocka_unit_test(test_parses_the_documented_form),
                cmocka_unit_test(test_parses_what_may_be_left_out),
                cmocka_unit_test(test_refuses_anything_else),
                cmocka_unit_test(test_refuses_long_input),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
