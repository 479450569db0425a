/* SPDX-License-Identifier: Apache-2.0 */

/* capd between KMS and its client, which is a real connection. */

#include "fake-cards.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef union Answer {
        uint32_t type;
        struct wire_frame frame;
        struct wire_frame_none none;
        struct wire_frame_confirmed confirmed;
        struct wire_outputs outputs;
} Answer;

static int client_new(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const struct wire_hello hello = { WIRE_HELLO, WIRE_VERSION };
        socklen_t size = sizeof(sa_family_t);
        int fd;

        capd.frames.listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_return_code(bind(capd.frames.listen_fd, (struct sockaddr *) &address, size),
                           errno); /* autobind */
        assert_return_code(listen(capd.frames.listen_fd, 1), errno);
        size = sizeof(address);
        assert_return_code(getsockname(capd.frames.listen_fd, (struct sockaddr *) &address, &size), errno);
        assert_return_code(frames_listen(&capd), 0);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_return_code(connect(fd, (struct sockaddr *) &address, size), errno);
        assert_int_equal(send(fd, &hello, sizeof(hello), 0), sizeof(hello));
        return fd;
}

/* What capd answers, whose descriptors are closed. False: it has ended. */
static bool ask(int fd, const void *message, size_t size, Answer *ret) {
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * WIRE_FRAME_FDS_MAX)];
        } control;

        assert_int_equal(send(fd, message, size, 0), size);
        while (sd_event_get_state(capd.event) != SD_EVENT_FINISHED) {
                struct iovec iovec = { ret, sizeof(*ret) };
                struct msghdr msghdr = { .msg_iov = &iovec,
                                         .msg_iovlen = 1,
                                         .msg_control = &control,
                                         .msg_controllen = sizeof(control) };

                assert_return_code(sd_event_run(capd.event, 10000), 0);
                if (recvmsg(fd, &msghdr, MSG_CMSG_CLOEXEC) <= 0 || ret->type == WIRE_HELLO)
                        continue;
                struct cmsghdr *c = CMSG_FIRSTHDR(&msghdr);
                for (size_t i = 0; c && CMSG_LEN(sizeof(int) * i) < c->cmsg_len; i++) {
                        int received;
                        memcpy(&received, CMSG_DATA(c) + sizeof(int) * i, sizeof(int));
                        close(received);
                }
                return true;
        }
        return false;
}

static bool ask_frame(int fd, uint32_t output, Answer *ret) {
        const struct wire_frame_next next = { WIRE_FRAME_NEXT, output, 0 };
        return ask(fd, &next, sizeof(next), ret);
}

static uint32_t ask_whole(int fd, const Answer *frame) {
        const struct wire_frame_confirm confirm = { WIRE_FRAME_CONFIRM, frame->frame.output,
                                                    frame->frame.sequence };
        Answer answer = {};

        assert_true(ask(fd, &confirm, sizeof(confirm), &answer));
        assert_int_equal(answer.type, WIRE_FRAME_CONFIRMED);
        return answer.confirmed.whole;
}

static const struct wire_frame_none *ask_flips(int fd, uint64_t last_identity, Answer *answer) {
        const struct wire_frame_next next = { WIRE_FRAME_NEXT, 0, last_identity };

        assert_true(ask(fd, &next, sizeof(next), answer));
        assert_int_equal(answer->type, WIRE_FRAME_NONE);
        return &answer->none;
}

/* Else who asks all the time would know when somebody types. */
static void test_flips_are_told_of_no_oftener_than_frames(void **state _unused_) {
        _cleanup_close_ int client = client_new();
        const struct wire_frame_none *none;
        Answer answer = {};

        capd.grant.min_interval = UINT64_C(3600000000000);
        assert_true(ask_frame(client, 0, &answer));
        assert_int_equal(answer.type, WIRE_FRAME_FRAME);
        uint64_t identity = answer.frame.identity;
        assert_int_equal(ask_flips(client, identity, &answer)->reason, WIRE_REASON_TOO_SOON);
        capd.grant.served = 0;
        assert_int_equal(ask_flips(client, identity, &answer)->reason, WIRE_REASON_NO_FLIP);
        none = ask_flips(client, identity, &answer);
        assert_int_equal(none->reason, WIRE_REASON_TOO_SOON);
        assert_true(none->not_before > capd_now() + UINT64_C(3000000000000));
        assert_int_equal(ask_flips(client, 0, &answer)->reason, WIRE_REASON_TOO_SOON);
}

/* A copy that a flip has torn is made again, but not for ever. */
static void test_copies_on_a_screen_that_flips(void **state _unused_) {
        _cleanup_close_ int client = client_new();
        Answer answer = {};

        fakes[0].fails = DRM_IOCTL_PRIME_HANDLE_TO_FD;
        fakes[0].error = ENOSYS;
        fakes[0].flips_at = DRM_IOCTL_MODE_MAP_DUMB;
        for (unsigned flips = 0; flips <= 5; flips++) {
                fakes[0].n_flips = flips;
                fakes[0].n_copies = 0;
                capd.grant.served = 0;
                assert_true(ask_frame(client, 0, &answer));
                assert_int_equal(answer.type, WIRE_FRAME_FRAME);
                assert_int_equal(answer.frame.memory, WIRE_MEMORY_MEMFD);
                assert_int_equal(fakes[0].n_copies, flips < 3 ? flips + 1 : 3);
                assert_int_equal(ask_whole(client, &answer), flips < 3 ? WIRE_WHOLE : WIRE_TORN);
        }
}

/* Between the id and its handles, the id may have become another's. */
static void test_nothing_is_copied_that_is_not_shown(void **state _unused_) {
        _cleanup_close_ int client = client_new();
        Answer answer = {};

        fakes[0].fails = DRM_IOCTL_PRIME_HANDLE_TO_FD;
        fakes[0].error = ENOSYS;
        fakes[0].flips_at = DRM_IOCTL_MODE_GETFB2;
        fakes[0].n_flips = UINT32_MAX;
        assert_true(ask_frame(client, 0, &answer));
        assert_int_equal(answer.type, WIRE_FRAME_NONE);
        assert_int_equal(answer.none.reason, WIRE_REASON_TOO_SOON);
        assert_int_equal(fakes[0].n_copies, 0);
}

/* Who asked is to ask again, but not at once. */
static void test_a_screen_that_never_holds_still(void **state _unused_) {
        _cleanup_close_ int client = client_new();
        uint64_t before = capd_now();
        Answer answer = {};

        fakes[0].flips_at = DRM_IOCTL_PRIME_HANDLE_TO_FD;
        fakes[0].n_flips = UINT32_MAX;
        assert_true(ask_frame(client, 0, &answer));
        assert_int_equal(answer.type, WIRE_FRAME_NONE);
        assert_int_equal(answer.none.reason, WIRE_REASON_TOO_SOON);
        assert_true(answer.none.not_before >= before + capd.grant.min_interval);
        assert_true(answer.none.not_before <= capd_now() + capd.grant.min_interval);
        fakes[0].n_flips = 0;
        assert_true(ask_frame(client, 0, &answer));
        assert_int_equal(answer.type, WIRE_FRAME_FRAME);
}

/* What one card refuses is no reason to show nothing of the others. */
static void test_one_bad_card(void **state _unused_) {
        static const unsigned long requests[] = { DRM_IOCTL_MODE_GETFB2, DRM_IOCTL_MODE_OBJ_GETPROPERTIES,
                                                  DRM_IOCTL_MODE_GETCRTC, DRM_IOCTL_MODE_GETPLANE };
        _cleanup_close_ int client = client_new();
        Answer answer = {};

        assert_true(ask_frame(client, 0, &answer));
        for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
                fakes[0].fails = requests[i];
                fakes[0].error = EIO;
                capd.grant.served = 0;
                assert_true(ask_frame(client, 0, &answer));
                assert_int_equal(answer.type, WIRE_FRAME_NONE);
                assert_int_equal(answer.none.reason, WIRE_REASON_UNDECODABLE);
                assert_true(ask_frame(client, 1, &answer));
                assert_int_equal(answer.type, WIRE_FRAME_FRAME);
        }

        fakes[0].fails = DRM_IOCTL_MODE_GETRESOURCES;
        const struct wire_plain get = { .type = WIRE_FRAME_OUTPUTS_GET };
        assert_true(ask(client, &get, sizeof(get), &answer));
        assert_int_equal(answer.type, WIRE_FRAME_OUTPUTS);
        assert_int_equal(answer.outputs.n_outputs, 1);
        assert_int_equal(answer.outputs.outputs[0].id, 1);
        capd.grant.served = 0;
        assert_true(ask_frame(client, 0, &answer));
        assert_int_equal(answer.none.reason, WIRE_REASON_UNPLUGGED);
        assert_true(ask_frame(client, 1, &answer));
        assert_int_equal(answer.type, WIRE_FRAME_FRAME);
        fakes[0].fails = 0;
        assert_true(ask(client, &get, sizeof(get), &answer));
        assert_int_equal(answer.outputs.n_outputs, 2);
}

static void test_what_capd_cannot_go_on_with(void **state _unused_) {
        static const struct { int error, code; } cases[] = { { ENODEV, 0 }, { EPERM, -EPERM } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_close_ int client = client_new();
                Answer answer = {};
                int code;

                fakes[0].fails = DRM_IOCTL_MODE_GETCRTC;
                fakes[0].error = cases[i].error;
                capd.outputs.outputs[0] = (Output){ .known = true,
                                                    .active = true,
                                                    .card = &capd.cards[0],
                                                    .connector = CONNECTOR,
                                                    .crtc = CRTC };
                fakes[0].encoder_crtc = CRTC;
                assert_false(ask_frame(client, 0, &answer));
                assert_return_code(sd_event_get_exit_code(capd.event, &code), 0);
                assert_int_equal(code, cases[i].code);
                fake_teardown(NULL);
                fake_setup(NULL);
        }
}

#undef main /* capd's own goes by another name */
int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_copies_on_a_screen_that_flips),
                TEST(test_nothing_is_copied_that_is_not_shown),
                TEST(test_a_screen_that_never_holds_still),
                TEST(test_one_bad_card),
                TEST(test_what_capd_cannot_go_on_with),
                TEST(test_flips_are_told_of_no_oftener_than_frames),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
