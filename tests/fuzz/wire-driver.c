/* SPDX-License-Identifier: Apache-2.0 */
#include "wire-driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "log.h"
#include "wire-clock.h"
#include "wire-input.h"
#include "wire-pairs.h"
#include "wire.h"

#define MEMORY_SIZE (1U << 18)
#define WAIT_MAX    17U
#define TIMES_MAX   9U
/* Nothing that a peer says keeps a daemon busy for longer. */
#define STEPS_MAX 20000
/* More than a daemon has open at a time. */
#define DESCRIPTORS_MAX 128

#pragma weak wire_target_do
#pragma weak wire_target_said
#pragma weak wire_target_heard
#pragma weak wire_target_connected
#pragma weak wire_target_rests

/* What a peer could send; its kind says with which it begins. */
static int descriptors[8];

static int memory(unsigned flags, int seals, unsigned noise) {
        static uint8_t bytes[MEMORY_SIZE];
        int fd = memfd_create("fuzz", MFD_CLOEXEC | flags);

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t) (noise > 0 ? (i / noise * 2654435761U) >> 24 : 0);
        if (fd < 0 || write(fd, bytes, sizeof(bytes)) != (ssize_t) sizeof(bytes) ||
            (seals && fcntl(fd, F_ADD_SEALS, seals) < 0))
                fuzz_die("memfd");
        return fd;
}

static void make_descriptors(void) {
        const int sealed = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        int pipes[2];

        if (pipe2(pipes, O_CLOEXEC) < 0)
                fuzz_die("pipe");
        descriptors[0] = memory(MFD_ALLOW_SEALING, sealed, 0);
        descriptors[1] = memory(MFD_ALLOW_SEALING, sealed, 1);
        descriptors[2] = memory(MFD_ALLOW_SEALING, sealed, 512);
        descriptors[3] = memory(MFD_ALLOW_SEALING, 0, 0);
        descriptors[4] = memory(0, 0, 0);
        descriptors[5] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        descriptors[6] = open("/dev/null", O_RDWR | O_CLOEXEC);
        descriptors[7] = pipes[0];
}

/* Were it not read, what the daemon says would fill its buffer. */
void wire_driver_hear(void) {
        static uint8_t bytes[PAYLOAD_MAX];
        ssize_t n;

        for (unsigned channel = 0; channel < WIRE_CHANNELS; channel++) {
                while ((n = recv(wire_pairs_peer(channel), bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
                        if (wire_target_heard)
                                wire_target_heard(channel, bytes, (size_t) n);
                /* Reset: it has not read all that was said. */
                if ((n == 0 || errno == ECONNRESET) && wire_target_heard)
                        wire_target_heard(channel, NULL, 0);
        }
}

static void run(sd_event *event) {
        int steps = 0;

        while (sd_event_get_state(event) != SD_EVENT_FINISHED && sd_event_run(event, 0) > 0)
                if (++steps == STEPS_MAX)
                        fuzz_die("the loop does not come to rest");
        wire_driver_hear();
        if (wire_target_rests)
                wire_target_rests();
}

static void say(unsigned channel, const DatagramHeader *header, uint8_t *bytes) {
        struct iovec iovec = { bytes, header->size };
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        } control = {};
        struct msghdr msghdr = { .msg_iov = &iovec, .msg_iovlen = 1 };
        size_t n_fds = header->n_fds % FDS_MAX;

        if (n_fds > 0) {
                control.header = (struct cmsghdr){ CMSG_LEN(sizeof(int) * n_fds), SOL_SOCKET, SCM_RIGHTS };
                for (size_t i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(&control.header) + i * sizeof(int),
                               &descriptors[(header->kind + i) % ELEMENTSOF(descriptors)], sizeof(int));
                msghdr.msg_control = &control;
                msghdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        }
        if (sendmsg(wire_pairs_peer(channel), &msghdr, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 && wire_target_said)
                wire_target_said(channel, bytes, header->size);
}

/* The next of many: with another number. */
static void count(const DatagramHeader *header, uint8_t *bytes) {
        size_t at = header->flags & FLAG_COUNT_FAR ? 8 : 4;
        uint32_t number;

        if (header->size < at + sizeof(number))
                return;
        memcpy(&number, bytes + at, sizeof(number));
        number++;
        memcpy(bytes + at, &number, sizeof(number));
}

static void greet(int fd) {
        const struct wire_hello hello = { WIRE_HELLO, WIRE_VERSION };

        (void) send(fd, &hello, sizeof(hello), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void connect_peer(unsigned channel, unsigned pid) {
        wire_pairs_connect(channel, pid);
        if (wire_target_connected)
                wire_target_connected(channel);
}

/* One datagram, to a socket of the daemon's or to what else the target has. */
static sd_event *play_one(sd_event *event, const Datagram *datagram) {
        static uint8_t bytes[PAYLOAD_MAX];
        const DatagramHeader *header = &datagram->header;
        unsigned channel = header->channel % WIRE_CHANNELS;

        memset(bytes, 0, header->size);
        if (header->stored > 0)
                memcpy(bytes, datagram->stored, header->stored);
        if (wire_target_do && header->channel % (2 * WIRE_CHANNELS) >= WIRE_CHANNELS) {
                event = wire_target_do(bytes, header->size);
                run(event);
        } else {
                if (header->flags & FLAG_AGAIN) {
                        connect_peer(channel, header->kind);
                        greet(wire_pairs_peer(channel));
                }
                for (unsigned n = 1U << header->times % (TIMES_MAX + 1); n > 0; n--) {
                        say(channel, header, bytes);
                        if (n % 64 == 1)
                                run(event);
                        count(header, bytes);
                }
        }
        if (header->wait > 0) {
                wire_clock_pass(UINT64_C(1) << header->wait % (WAIT_MAX + 1));
                run(event);
        }
        return event;
}

static void play(sd_event *event, const Conversation *conversation) {
        bool ungreeted = conversation->n > 0 && conversation->datagrams[0].header.flags & FLAG_UNGREETED;

        /* The daemons' first tries to connect are due at once. */
        wire_clock_pass(1);
        run(event);
        for (unsigned channel = 0; channel < WIRE_CHANNELS; channel++) {
                connect_peer(channel, 0);
                if (!ungreeted)
                        greet(wire_pairs_peer(channel));
        }
        for (size_t i = 0; i < conversation->n; i++)
                event = play_one(event, &conversation->datagrams[i]);
        /* A peer that dies is the last thing that happens. */
        for (unsigned channel = 0; channel < WIRE_CHANNELS; channel++)
                wire_pairs_hang_up(channel);
        run(event);
}

static void open_descriptors(bool ret[static DESCRIPTORS_MAX]) {
        for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
                ret[fd] = fcntl(fd, F_GETFD) >= 0;
}

static void converse(const uint8_t *data, size_t size) {
        Conversation conversation;

        conversation_read(&conversation, data, size);
        wire_clock_begin();
        sd_event *event = wire_target_open();
        play(event, &conversation);
        wire_target_close();
        wire_pairs_close();
        wire_clock_end();
}

/* What is opened once, at the first use, stays open: that is before anything is counted. */
int LLVMFuzzerInitialize(int *argc _unused_, char ***argv _unused_) {
        static uint8_t example[1U << 18];

        log_set_max_level(-1);
        make_descriptors();
        converse(example, conversation_example(example, sizeof(example)));
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        bool before[DESCRIPTORS_MAX], after[DESCRIPTORS_MAX];

        open_descriptors(before);
        converse(data, size);
        open_descriptors(after);
        for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
                if (after[fd] != before[fd]) {
                        fprintf(stderr, "descriptor %d was %s\n", fd,
                                after[fd] ? "not closed" : "not the daemon's to close");
                        abort();
                }
        return 0;
}
