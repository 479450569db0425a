/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "wire-connection.h"
#include "wire.h"

/* One connection under test and the raw other end, from which anything can be sent. */
typedef struct Fixture {
        sd_event *event;
        WireConnection *connection;
        int peer;
        int handled, ended, error;
        char detail[200];
        int fd_seen;
} Fixture;

static int on_next(WireConnection *connection _unused_, const void *message, int *fds _unused_,
                   size_t n_fds _unused_, void *userdata) {
        Fixture *f = userdata;
        const struct wire_frame_next *next = message;
        f->handled++;
        return next->output < 64 ? 0 : -EINVAL;
}

static int on_frame(WireConnection *connection _unused_, const void *message _unused_, int *fds,
                    size_t n_fds, void *userdata) {
        Fixture *f = userdata;
        f->handled++;
        f->fd_seen = n_fds > 0 ? fds[0] : -1;
        return 0;
}

static int on_plain(WireConnection *connection, const void *message _unused_, int *fds _unused_,
                    size_t n_fds _unused_, void *userdata) {
        Fixture *f = userdata;
        f->handled++;
        f->connection = wire_connection_free(connection);
        return 0;
}

static const WireRule rules[] = {
        { "NEXT", WIRE_FRAME_NEXT, sizeof(struct wire_frame_next), 0, 0, WIRE_STATE_READY, on_next },
        { "FRAME", WIRE_FRAME_FRAME, sizeof(struct wire_frame), 1, 2, WIRE_STATE_READY, on_frame },
        { "OUTPUTS_GET", WIRE_FRAME_OUTPUTS_GET, sizeof(struct wire_plain), 0, 0, WIRE_STATE_READY,
          on_plain },
        { "CONFIRM", WIRE_FRAME_CONFIRM, sizeof(struct wire_frame_confirm), 0, WIRE_FRAME_FDS_MAX,
          WIRE_STATE_READY, on_frame },
};

static void on_closed(WireConnection *connection, int error, const char *detail, void *userdata) {
        Fixture *f = userdata;
        f->ended++;
        f->error = error;
        snprintf(f->detail, sizeof(f->detail), "%s", detail);
        f->connection = wire_connection_free(connection);
}

static int open_descriptors(void) {
        int n = 0;
        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void run(Fixture *f) {
        while (sd_event_run(f->event, 0) > 0)
                ;
}

static void say(Fixture *f, const void *message, size_t size, int n_fds) {
        struct iovec iovec = { (void *) message, size };
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int) * 64)];
        } control = {};
        struct msghdr msghdr = { .msg_iov = &iovec, .msg_iovlen = 1 };
        int fds[64];

        if (n_fds > 0) {
                for (int i = 0; i < n_fds; i++)
                        fds[i] = STDERR_FILENO;
                control.header = (struct cmsghdr){ CMSG_LEN(sizeof(int) * n_fds), SOL_SOCKET, SCM_RIGHTS };
                memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
                msghdr.msg_control = &control;
                msghdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        }
        assert_int_equal(sendmsg(f->peer, &msghdr, 0), (ssize_t) size);
        run(f);
}

static void hello(Fixture *f, uint32_t version) {
        struct wire_hello message = { WIRE_HELLO, version };
        say(f, &message, sizeof(message), 0);
}

static int setup(void **state) {
        static Fixture f;
        int pair[2];

        f = (Fixture){ .fd_seen = -1 };
        assert_return_code(sd_event_new(&f.event), 0);
        assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        f.peer = pair[1];
        assert_return_code(wire_connection_new(&f.connection, f.event, pair[0], rules, ELEMENTSOF(rules),
                                               on_closed, &f),
                           0);
        *state = &f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;
        wire_connection_free(f->connection);
        close(f->peer);
        sd_event_unref(f->event);
        return 0;
}

static const struct wire_frame_next next = { .type = WIRE_FRAME_NEXT, .output = 1 };
static const struct wire_frame frame = { .type = WIRE_FRAME_FRAME };

static void test_greets_and_takes_what_the_table_allows(void **state) {
        Fixture *f = *state;
        struct wire_hello received;

        assert_int_equal(recv(f->peer, &received, sizeof(received), 0), sizeof(received));
        assert_int_equal(received.version, WIRE_VERSION);
        hello(f, WIRE_VERSION);
        say(f, &next, sizeof(next), 0);
        say(f, &next, sizeof(next), 0);
        assert_int_equal(f->handled, 2);
        assert_int_equal(f->ended, 0);
}

static void ends(Fixture *f, int error, const char *saying) {
        run(f);
        assert_int_equal(f->ended, 1);
        assert_int_equal(f->error, error);
        if (!strstr(f->detail, saying))
                fail_msg("\"%s\" does not say \"%s\"", f->detail, saying);
        assert_int_equal(f->handled, 0);
}

static void test_nothing_before_hello(void **state) {
        say(*state, &next, sizeof(next), 0);
        ends(*state, -EPROTO, "NEXT is not permitted now");
}

static void test_hello_twice(void **state) {
        hello(*state, WIRE_VERSION);
        hello(*state, WIRE_VERSION);
        ends(*state, -EPROTO, "HELLO is not permitted now");
}

static void test_other_version(void **state) {
        hello(*state, WIRE_VERSION + 1);
        ends(*state, -EPROTONOSUPPORT, "restart both");
}

static void test_every_wrong_size(void **state) {
        static uint8_t bytes[sizeof(next) + 16];
        for (size_t size = 1; size <= sizeof(bytes); size++) {
                if (size == sizeof(next))
                        continue;
                Fixture *f = *state;
                memcpy(bytes, &next, sizeof(next));
                hello(f, WIRE_VERSION);
                say(f, bytes, size, 0);
                ends(f, -EBADMSG, size < 4 ? "too short" : "instead of");
                teardown(state);
                setup(state);
        }
}

static void test_longer_than_any(void **state) {
        static uint8_t bytes[70000];
        memcpy(bytes, &next, sizeof(next));
        hello(*state, WIRE_VERSION);
        say(*state, bytes, sizeof(bytes), 0);
        ends(*state, -EMSGSIZE, "longer than any");
}

static void test_unknown_type(void **state) {
        struct wire_plain message = { .type = 0x7777 };
        hello(*state, WIRE_VERSION);
        say(*state, &message, sizeof(message), 0);
        ends(*state, -EBADMSG, "unknown type 0x7777");
}

static void test_descriptors_where_none_belong(void **state) {
        int before = open_descriptors();
        hello(*state, WIRE_VERSION);
        say(*state, &next, sizeof(next), 1);
        ends(*state, -EMFILE, "1 descriptors instead of 0 to 0");
        assert_int_equal(open_descriptors(), before - 1); /* its own end is closed, what came is too */
}

static void test_too_many_descriptors(void **state) {
        for (int n = 0; n <= 40; n++) {
                Fixture *f = *state;
                int before = open_descriptors();
                hello(f, WIRE_VERSION);
                say(f, &frame, sizeof(frame), n);
                if (n == 1 || n == 2) {
                        assert_int_equal(f->handled, 1);
                        assert_int_equal(f->ended, 0);
                        assert_int_equal(fcntl(f->fd_seen, F_GETFD), -1); /* not taken, so closed */
                        assert_int_equal(open_descriptors(), before);
                } else {
                        ends(f, -EMFILE, "descriptors");
                        assert_int_equal(open_descriptors(), before - 1);
                }
                teardown(state);
                setup(state);
        }
}

/* Where a message may bring as many as there is room for, no rule tells that there were more. */
static void test_descriptors_lost_on_the_way(void **state) {
        static const struct wire_frame_confirm confirm = { .type = WIRE_FRAME_CONFIRM };

        for (int n = WIRE_FRAME_FDS_MAX; n <= 40; n++) {
                Fixture *f = *state;
                hello(f, WIRE_VERSION);
                say(f, &confirm, sizeof(confirm), n);
                if (n == WIRE_FRAME_FDS_MAX)
                        assert_int_equal(f->handled, 1);
                else
                        ends(f, -EMFILE, "lost on the way");
                teardown(state);
                setup(state);
        }
}

static void test_handler_refuses(void **state) {
        Fixture *f = *state;
        struct wire_frame_next message = next;
        message.output = 64;
        hello(f, WIRE_VERSION);
        say(f, &message, sizeof(message), 0);
        assert_int_equal(f->ended, 1);
        assert_int_equal(f->error, -EINVAL);
        assert_non_null(strstr(f->detail, "NEXT was refused"));
}

static void test_handler_may_free_its_connection(void **state) {
        Fixture *f = *state;
        struct wire_plain message = { .type = WIRE_FRAME_OUTPUTS_GET };
        struct wire_hello hello_message = { WIRE_HELLO, WIRE_VERSION };
        assert_int_equal(send(f->peer, &hello_message, sizeof(hello_message), 0), sizeof(hello_message));
        assert_int_equal(send(f->peer, &message, sizeof(message), 0), sizeof(message));
        assert_int_equal(send(f->peer, &message, sizeof(message), 0), sizeof(message));
        run(f);
        assert_int_equal(f->handled, 1);
        assert_int_equal(f->ended, 0);
        assert_null(f->connection);
}

static void test_peer_hangs_up(void **state) {
        Fixture *f = *state;
        hello(f, WIRE_VERSION);
        shutdown(f->peer, SHUT_RDWR);
        ends(f, 0, "closed by the peer");
}

/* 6400: four times 16 outputs at 100 frames a second. */
static void test_too_many_in_a_second(void **state) {
        Fixture *f = *state;
        int sent = 0;
        uint64_t start, now;

        hello(f, WIRE_VERSION);
        assert_return_code(sd_event_now(f->event, CLOCK_MONOTONIC, &start), 0);
        for (; sent < 20000 && f->ended == 0; sent++)
                say(f, &next, sizeof(next), 0);
        assert_return_code(sd_event_now(f->event, CLOCK_MONOTONIC, &now), 0);
        if (f->ended == 0 && now - start > 2000000)
                skip(); /* this machine is too slow to send so many in a second */
        assert_int_equal(f->ended, 1);
        assert_int_equal(f->error, -EDQUOT);
        assert_non_null(strstr(f->detail, "more than 6400 messages in a second"));
        assert_in_range(f->handled, 6399, 19999);
}

static void test_others_have_their_turn(void **state) {
        Fixture *f = *state;

        hello(f, WIRE_VERSION);
        for (int i = 0; i < 40; i++)
                assert_int_equal(send(f->peer, &next, sizeof(next), 0), sizeof(next));
        assert_true(sd_event_run(f->event, 0) > 0);
        assert_int_equal(f->handled, 16);
        run(f);
        assert_int_equal(f->handled, 40);
}

static void test_sender_is_not_blocked(void **state) {
        Fixture *f = *state;
        int r = 0;
        for (int i = 0; i < 10000 && r == 0; i++)
                r = wire_connection_send(f->connection, &frame, sizeof(frame), NULL, 0);
        assert_int_equal(r, -EAGAIN);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_greets_and_takes_what_the_table_allows),
                TEST(test_nothing_before_hello),
                TEST(test_hello_twice),
                TEST(test_other_version),
                TEST(test_every_wrong_size),
                TEST(test_longer_than_any),
                TEST(test_unknown_type),
                TEST(test_descriptors_where_none_belong),
                TEST(test_too_many_descriptors),
                TEST(test_descriptors_lost_on_the_way),
                TEST(test_handler_refuses),
                TEST(test_handler_may_free_its_connection),
                TEST(test_peer_hangs_up),
                TEST(test_too_many_in_a_second),
                TEST(test_others_have_their_turn),
                TEST(test_sender_is_not_blocked),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
