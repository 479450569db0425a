/* SPDX-License-Identifier: Apache-2.0 */

/* brokerd, enrolled, between an uploadd and a capd (broker.sock and its end of control.sock) and a control
 * plane that may say anything, with its methods on the bus called in between. All of it but main() runs as
 * it is; what leaves the process is replaced (broker-plane.h, broker-bus.h, broker-world.h), and what it
 * says is held against what it promises (broker-promises.h). */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker-bus.h"
#include "broker-plane.h"
#include "broker-promises.h"
#include "broker-world.h"
#include "broker.h"
#include "bus.h"
#include "capd.h"
#include "enrol.h"
#include "json-mutate.h"
#include "policy-sync.h"
#include "recorder.h"
#include "recordings.h"
#include "reports.h"
#include "rotate.h"
#include "seat.h"
#include "unenrol.h"
#include "uploadd.h"
#include "uploads.h"
#include "wire-clock.h"
#include "wire-driver.h"
#include "wire-pairs.h"
#include "wire.h"

#define DEVICE "0b9e5ad0-4c4b-4f0e-9a5e-2f1d7b1c0a11"

/* ------------------------------------------------------------------ what may be said */

/* Beside broker-plane.h's and broker-bus.h's kinds of datagrams. */
enum {
        DO_RESTART = 0x40, /* of brokerd */
        DO_RESCAN,         /* udev tells of cards, or of displays if number is 0 */
        DO_RESOLVE,        /* names have so many addresses, after text's first byte of ms */
        DO_SET_BACK,       /* the clock, by so many seconds, at most a day */
        DO_HANG_UP,        /* the peer on that channel, until it connects again */
        DO_RELOAD,         /* agent.conf, with other limits: LIMIT_* */
};

#define LIMIT_LOCKED   1U
#define LIMIT_MANUAL   2U
#define LIMIT_SLOW     4U
#define LIMIT_NO_PAUSE 8U

#define UPLOADD PROMISE_UPLOADD
#define CAPD    PROMISE_CAPD
#define OTHERS  WIRE_CHANNELS

/* The first recording that is begun: broker-world.c. */
#define RECORDING                                                                                           \
        { 1 }

static const struct wire_hello hello = { .version = WIRE_VERSION };
static const struct wire_broker_stats stats = {
        .recording = 1,
        .n_outputs = 1,
        .outputs = { { .width = 64, .height = 16, .name = "DP-1", .driver = "virtio_gpu" } },
        .text = "a hindrance"
};
static const struct wire_control_status status = { .n_cards = 1, .n_outputs = 1, .grant_expires = 1 };
static const struct wire_broker_segment_ready ready = {
        .recording = RECORDING, .size = 1000, .n_frames = 1, .start_realtime = 1, .end_realtime = 1
};
static const struct wire_broker_segment segment = { .recording = RECORDING };
static const struct wire_broker_failed failed = { .recording = RECORDING, .error = -5, .text = "it failed" };
static const struct wire_broker_recording finished = { .recording = RECORDING, .n_segments = 1 };

/* An answer of the control plane: its kind, how long it holds, its status and body. */
#define ANSWER(kind_, flags_, status_, body_)                                                               \
        {                                                                                                   \
                OTHERS, kind_, sizeof(PlaneAnswer) + sizeof(body_) - 1, 0, 0, &(const struct {              \
                        PlaneAnswer head;                                                                   \
                        char body[sizeof(body_)];                                                           \
                }){ { .status = status_, .flags = flags_, .etag = "\"1\"" }, body_ },                       \
                                0                                                                           \
        }
#define GOOD(kind, body)            ANSWER(kind, PLANE_ALWAYS, 200, body)
#define PROBLEM(kind, status, code) ANSWER(kind, 0, status, "{\"code\":\"" code "\",\"title\":\"No\"}")

#define DO(what_, number_, text_, wait_)                                                                    \
        {                                                                                                   \
                OTHERS + 1, what_, sizeof(BusDatagram) + sizeof(text_), 0, 0, &(const struct {              \
                        BusDatagram head;                                                                   \
                        char text[sizeof(text_)];                                                           \
                }){ { .number = number_ }, text_ },                                                         \
                                wait_                                                                       \
        }

const WireMessage wire_messages[] = {
        GOOD(PLANE_TOKEN, "{\"access_token\":\"a\",\"expires_in\":600}"),
        GOOD(PLANE_POLICY,
             "{\"revision\":1,\"company\":\"C\",\"device_id\":\"" DEVICE
             "\",\"employee\":\"\",\"recording\":\"automatic\",\"frames_per_second\":9,\"jpeg_quality\":90,"
             "\"segment_seconds\":60,\"segment_bytes\":65536,\"bytes_per_minute\":3000000,"
             "\"cpu_ms_per_second\":600,\"pause_seconds\":900,\"record_locked\":false,"
             "\"bucket_host\":\"" PROMISE_BUCKET "\"}"),
        GOOD(PLANE_REGISTER, "{}"),
        GOOD(PLANE_PRESIGN,
             "{\"method\":\"PUT\",\"url\":\"https://" PROMISE_BUCKET "/k\",\"headers\":{\"a\":\"b\"}}"),
        GOOD(PLANE_COMPLETE, "{}"),
        GOOD(PLANE_FINISH, "{}"),
        GOOD(PLANE_REPORT, "{}"),
        GOOD(PLANE_KEY, "{}"),
        GOOD(PLANE_ENROL, "{\"device_id\":\"" DEVICE "\",\"company\":\"C\"}"),
        { UPLOADD, WIRE_BROKER_STATS, sizeof(struct wire_broker_stats), 0, 0, &stats, 10 },
        { CAPD, WIRE_CONTROL_STATUS, sizeof(struct wire_control_status), 0, 0, &status, 0 },
        { UPLOADD, WIRE_BROKER_SEGMENT_READY, sizeof(struct wire_broker_segment_ready), 0, 0, &ready, 10 },
        { UPLOADD, WIRE_BROKER_FAILED, sizeof(struct wire_broker_failed), 0, 0, &failed, 13 },
        { UPLOADD, WIRE_BROKER_UPLOADED, sizeof(struct wire_broker_segment), 0, 0, &segment, 10 },
        DO(BUS_SEAT, BUS_SEAT_TAKEN | BUS_SEAT_LOCKED, "ann", 0),
        DO(BUS_SEAT, BUS_SEAT_TAKEN, "ann", 0),
        DO(BUS_PAUSE, 60, "", 0),
        DO(BUS_RESUME, 0, "", 0),
        DO(BUS_FLUSH, 0, "", 0),
        DO(BUS_DIAGNOSTICS, 0, "", 0),
        DO(BUS_ROTATE, 0, "", 0),
        DO(DO_RESOLVE, 2, "\1", 0),
        DO(DO_RESCAN, 1, "", 15),
        DO(DO_SET_BACK, 60, "", 0),
        DO(BUS_STOP, 0, "", 0),
        { UPLOADD, WIRE_BROKER_FINISHED, sizeof(struct wire_broker_recording), 0, 0, &finished, 0 },
        DO(BUS_START, 0, "", 17),
        DO(DO_RESTART, 0, "", 1),
        DO(BUS_UNENROL, 0, "", 0),
        GOOD(PLANE_LEAVE, "{}"),
        DO(BUS_ENROL, 0, "ABCD", 10),
        DO(DO_RELOAD, LIMIT_LOCKED | LIMIT_MANUAL | LIMIT_SLOW | LIMIT_NO_PAUSE, "", 0),
        DO(DO_RELOAD, 0, "", 0),
        DO(DO_HANG_UP, CAPD, "", 10),
        DO(DO_HANG_UP, UPLOADD, "", 10),
        PROBLEM(PLANE_TOKEN, 401, "client_invalid"),
        PROBLEM(PLANE_POLICY, 304, ""),
        PROBLEM(PLANE_REGISTER, 409, "recording_conflict"),
        PROBLEM(PLANE_PRESIGN, 404, "recording_unknown"),
        PROBLEM(PLANE_PRESIGN, 409, "segment_complete"),
        PROBLEM(PLANE_COMPLETE, 404, "segment_unknown"),
        PROBLEM(PLANE_COMPLETE, 401, ""),
        PROBLEM(PLANE_COMPLETE, 304, ""),
        PROBLEM(PLANE_FINISH, 503, ""),
        PROBLEM(PLANE_KEY, 403, ""),
        PROBLEM(PLANE_LEAVE, 401, "device_revoked"),
        PROBLEM(PLANE_ENROL, 403, "enrolment_code_invalid"),
        { UPLOADD, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
        { CAPD, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, &hello, 0 },
};
const size_t wire_n_messages = ELEMENTSOF(wire_messages);

size_t wire_target_mutate(uint8_t *bytes, size_t size, size_t max_size) {
        PlaneAnswer *head = (PlaneAnswer *) bytes;

        if (size < sizeof(*head) || head->kind >= _PLANE_MAX)
                return size;
        switch (rand() % 10) {
        case 0:
                head->flags ^= PLANE_ALWAYS;
                return size;
        case 1:
                head->delay = (uint8_t) (rand() % 18);
                return size;
        case 2:
                head->error = (uint8_t) (rand() % 4);
                return size;
        case 3:
                head->etag[rand() % 4] = (char) rand();
                head->etag_times = (uint8_t) (rand() % 2 ? 0 : rand());
                return size;
        default:
                return sizeof(*head) +
                       json_mutate(bytes + sizeof(*head), size - sizeof(*head), max_size - sizeof(*head));
        }
}

/* ------------------------------------------------------------------ brokerd */

static Broker broker;
/* As enrolment left it, once for all inputs; a start anew reads it from the state directory. */
static Identity enrolled;

static char *copy(const char *text) {
        return strdup(text) ?: (fuzz_die("strdup"), NULL);
}

static void must(int r, const char *what) {
        if (r < 0) {
                errno = -r;
                fuzz_die(what);
        }
}

/* The wrapping key, as systemd's credentials would have it. */
static void take_wrapping_key(void) {
        char directory[] = "/tmp/fuzz-wire-brokerd-XXXXXX", path[sizeof(directory) + 20];
        const uint8_t key[32] = {};

        must(mkdtemp(directory) ? 0 : -errno, directory);
        snprintf(path, sizeof(path), "%s/wrapping-key", directory);
        FILE *file = fopen(path, "we");
        must(file && fwrite(key, sizeof(key), 1, file) == 1 && fclose(file) == 0 ? 0 : -EIO, path);
        setenv("CREDENTIALS_DIRECTORY", directory, true);
        must(identity_take_wrapping_key(), path);
        (void) unlink(path);
        (void) rmdir(directory);
}

static void enrol_once(void) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;

        if (enrolled.key)
                return;
        must(identity_protect_process(), "secure memory");
        take_wrapping_key();
        world_begin();
        must(identity_generate_key(&key), "a key");
        must(identity_store_key("", key), "the state directory");
        must(identity_store("", DEVICE, "C", PROMISE_URL), "the state directory");
        must(identity_load("", &enrolled), "the state directory");
        world_keep();
}

static void use_identity(void) {
        broker.identity = enrolled;
        broker.identity.company = copy(enrolled.company);
        broker.identity.url = copy(enrolled.url);
        if (EVP_PKEY_up_ref(enrolled.key) != 1)
                fuzz_die("the key");
}

static char *hosts[] = { (char[]){ PROMISE_BUCKET }, NULL };

static CaptureLimits limits(uint32_t number) {
        return (CaptureLimits){ .recording = number & LIMIT_MANUAL ? RECORDING_MANUAL : RECORDING_AUTOMATIC,
                                .frames_per_second = number & LIMIT_SLOW ? 2 : 5,
                                .jpeg_quality = 50,
                                .bytes_per_minute = 2000000,
                                .cpu_ms_per_second = 500,
                                .pause_seconds = number & LIMIT_NO_PAUSE ? 0 : 600,
                                .record_locked = number & LIMIT_LOCKED,
                                .bucket_hosts = hosts };
}

/* As reload_method(). */
static void reload(uint32_t number) {
        broker.settings.limits = limits(number);
        promise_limits(&broker.settings.limits);
        recorder_evaluate(broker.recorder);
        uploads_retry_now(broker.uploads);
}

/* As run() in brokerd.c. */
static void open_brokerd(bool again) {
        broker = (Broker){ .settings = {
                                           .config = "agent.conf",
                                           .state_directory = copy(""),
                                           .url = copy(PROMISE_URL),
                                           .control_socket = "1",
                                           .uploadd_user = "",
                                           .bucket_hosts = hosts,
                                           .limits = limits(0),
                           } };
        must(sd_event_new(&broker.event), "the loop");
        if (again)
                must(identity_load(broker.settings.state_directory, &broker.identity), "the identity");
        else
                use_identity();
        must(http_client_new(&broker.http, broker.event, NULL, ""), "http");
        must(api_new(&broker.api, broker.http, broker.settings.url), "api");
        api_set_token_answered(broker.api, rotate_token_answered, &broker);
        if (identity_enrolled(&broker.identity))
                api_set_identity(broker.api, &broker.identity);
        must(policy_sync_new(&broker.policy, &broker), "policy");
        must(recorder_new(&broker.recorder, &broker), "recorder");
        must(recordings_new(&broker.recordings, &broker), "recordings");
        must(uploads_new(&broker.uploads, &broker), "uploads");
        must(capd_new(&broker.capd, &broker), "capd");
        must(reports_new(&broker.reports, &broker), "reports");
        must(uploadd_new(&broker.uploadd, &broker), "uploadd");
        peer_bus_open(broker.event);
        must(bus_new(&broker.bus, &broker), "the bus");
        must(seat_new(&broker.seat, &broker, bus_connection(broker.bus)), "the seat");
}

/* What was not finished is there for the next start. */
static void check_recordings(void) {
        pid_t pid;

        must(recordings_new(&broker.recordings, &broker), "recordings");
        must(recordings_load(broker.recordings, &pid), "the recordings that were kept");
        broker.recordings = recordings_free(broker.recordings);
}

/* What it has signed with, it can sign with after the next start. */
static void check_key(void) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        int r;

        if (!identity_enrolled(&broker.identity) || broker.identity.key == enrolled.key)
                return;
        r = broker.trying_next_key ? identity_load_next_key("", &key) : identity_load_key("", &key);
        if (r < 0 || EVP_PKEY_eq(key, broker.identity.key) != 1)
                promise_broken("a key that is not kept");
}

static void close_brokerd(void) {
        check_key();
        enrol_cancel(&broker);
        unenrol_cancel(&broker);
        rotate_cancel(&broker);
        broker.reports = reports_free(broker.reports);
        broker.uploads = uploads_free(broker.uploads);
        broker.recordings = recordings_free(broker.recordings);
        check_recordings();
        broker.policy = policy_sync_free(broker.policy);
        broker.capd = capd_free(broker.capd);
        broker.uploadd = uploadd_free(broker.uploadd);
        broker.recorder = recorder_free(broker.recorder);
        broker.seat = seat_free(broker.seat);
        broker.bus = bus_free(broker.bus);
        peer_bus_close();
        broker.api = api_free(broker.api);
        broker.http = http_client_free(broker.http);
        identity_done(&broker.identity);
        status_done(&broker.status);
        free(broker.settings.state_directory);
        free(broker.settings.url);
        broker.event = sd_event_unref(broker.event);
}

sd_event *wire_target_open(void) {
        enrol_once();
        world_begin();
        open_brokerd(false);
        promise_begin(broker.identity.device);
        promise_limits(&broker.settings.limits);
        return broker.event;
}

void wire_target_close(void) {
        close_brokerd();
        plane_end();
        promise_end();
}

/* ------------------------------------------------------------------ the driver's */

sd_event *wire_target_do(const void *bytes, size_t size) {
        BusDatagram datagram = {};
        char text[128];

        memcpy(&datagram, bytes, size < sizeof(datagram) ? size : sizeof(datagram));
        snprintf(text, sizeof(text), "%.*s", (int) (size > sizeof(datagram) ? size - sizeof(datagram) : 0),
                 (const char *) bytes + 8);
        switch (datagram.what) {
        case DO_RESTART:
                close_brokerd();
                open_brokerd(true);
                promise_restarted();
                promise_limits(&broker.settings.limits);
                break;
        case DO_RESCAN:
                capd_rescan(broker.capd, datagram.number > 0);
                break;
        case DO_RESOLVE:
                world_set_addresses(datagram.number, (unsigned char) text[0]);
                break;
        case DO_SET_BACK:
                wire_clock_set_back(datagram.number % 86400);
                break;
        case DO_HANG_UP:
                wire_pairs_hang_up(datagram.number % WIRE_CHANNELS);
                promise_heard(datagram.number % WIRE_CHANNELS, NULL, 0);
                break;
        case DO_RELOAD:
                reload(datagram.number);
                break;
        default:
                if (datagram.what < _PLANE_MAX)
                        plane_answer(bytes, size);
                else
                        peer_bus_do(&datagram, text);
                break;
        }
        return broker.event;
}

void wire_target_said(unsigned channel, const void *bytes, size_t size) {
        const struct wire_broker_recording *message = bytes;

        /* Those that brokerd keeps a recording for; in both the id is at the same place. */
        if (size >= sizeof(*message) &&
            (message->type == WIRE_BROKER_FINISHED || message->type == WIRE_BROKER_SEGMENT_READY))
                world_id_said(message->recording);
        promise_said(channel, bytes, size);
}

void wire_target_heard(unsigned channel, const void *bytes, size_t size) {
        promise_heard(channel, bytes, size);
}

void wire_target_connected(unsigned channel) {
        promise_connected(channel);
}

/* Those three wait for the control plane, one at a time; all others are answered at once. */
static void check_calls(void) {
        for (uint32_t what = BUS_START; what <= BUS_DIAGNOSTICS; what++) {
                bool under_way = (what == BUS_ENROL && broker.enrolment) ||
                                 (what == BUS_UNENROL && broker.unenrolment) ||
                                 (what == BUS_ROTATE && broker.rotation);

                if (peer_bus_waiting(what) > under_way)
                        promise_broken("a call on the bus that nobody answers");
        }
}

void wire_target_rests(void) {
        check_calls();
        promise_rests(&broker, peer_bus_locked());
}
