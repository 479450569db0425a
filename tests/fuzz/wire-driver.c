/* SPDX-License-Identifier: Apache-2.0 */

#include "wire-driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"
#include "log.h"
#include "wire.h"

#define DATAGRAMS_MAX 64U
#define FDS_MAX       40U
#define PAYLOAD_MAX   70000U

#define FLAG_UNGREETED 1U /* of the first datagram: no HELLO before it */
#define FLAG_WAIT      2U /* until the daemon's next timer has fired */

/* Before each datagram in an input. */
typedef struct Header {
        uint8_t channel, n_fds, kind;
        uint8_t flags; /* FLAG_* */
        uint32_t size;
} Header;

typedef struct List {
        Header headers[DATAGRAMS_MAX];
        const uint8_t *payloads[DATAGRAMS_MAX];
        size_t n;
} List;

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
/* Every message that there is, in the table's order, with time to act upon each. */
static void make_conversation(List *list) {
        static uint8_t payloads[DATAGRAMS_MAX][PAYLOAD_MAX];

        for (size_t i = 0; i < wire_n_messages && list->n < DATAGRAMS_MAX; i++) {
                const WireMessage *message = &wire_messages[i];

                if (message->type == WIRE_HELLO)
                        continue;
                if (message->sample)
                        memcpy(payloads[i], message->sample, message->size);
                memcpy(payloads[i], &message->type, sizeof(message->type));
                list->payloads[list->n] = payloads[i];
                list->headers[list->n++] = (Header){ .channel = message->channel,
                                                     .n_fds = message->fds_min,
                                                     .flags = FLAG_WAIT,
                                                     .size = message->size };
        }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static int descriptors[6]; /* of each kind that a peer could send */

static void die(const char *what) {
        perror(what);
        abort();
}

int wire_driver_listen(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
        (void) unlink(path);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 4) < 0)
                die("listen");
        return fd;
}

int wire_driver_connect(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
        if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                die("connect");
        return fd;
}

void wire_driver_run(sd_event *event, uint64_t usec) {
        for (int i = 0; i < 1000 && sd_event_get_state(event) != SD_EVENT_FINISHED; i++)
                if (sd_event_run(event, usec) <= 0)
                        break;
}

static int memory(unsigned flags, int seals) {
        int fd = memfd_create("fuzz", MFD_CLOEXEC | flags);

        if (fd < 0 || ftruncate(fd, 1 << 18) < 0)
                die("memfd");
        if (seals && fcntl(fd, F_ADD_SEALS, seals) < 0)
                die("seal");
        return fd;
}

int LLVMFuzzerInitialize(int *argc __attribute__((unused)), char ***argv __attribute__((unused))) {
        int pipes[2];

        if (pipe2(pipes, O_CLOEXEC) < 0)
                die("pipe");
        descriptors[0] = memory(MFD_ALLOW_SEALING, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
        descriptors[1] = memory(MFD_ALLOW_SEALING, 0);
        descriptors[2] = memory(0, 0);
        descriptors[3] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        descriptors[4] = open("/dev/null", O_RDWR | O_CLOEXEC);
        descriptors[5] = pipes[0];
        log_set_max_level(-1);
        return 0;
}

/* As many datagrams as are whole. */
static void list_read(List *list, const uint8_t *data, size_t size) {
        list->n = 0;
        while (list->n < DATAGRAMS_MAX && size >= sizeof(Header)) {
                Header *header = &list->headers[list->n];

                memcpy(header, data, sizeof(*header));
                data += sizeof(*header);
                size -= sizeof(*header);
                if (header->size > size || header->size > PAYLOAD_MAX)
                        header->size = (uint32_t) (size < PAYLOAD_MAX ? size : PAYLOAD_MAX);
                list->payloads[list->n++] = data;
                data += header->size;
                size -= header->size;
        }
}

static size_t list_write(const List *list, uint8_t *data, size_t max_size) {
        size_t size = 0;

        for (size_t i = 0; i < list->n; i++) {
                const Header *header = &list->headers[i];

                if (header->size + sizeof(*header) > max_size - size)
                        break;
                memcpy(data + size, header, sizeof(*header));
                if (header->size > 0)
                        memcpy(data + size + sizeof(*header), list->payloads[i], header->size);
                size += sizeof(*header) + header->size;
        }
        return size;
}

/* A message as the table has it: the sample, or with some fields of it changed. */
static Header make_message(const WireMessage *message, uint8_t *payload) {
        memset(payload, 0, message->size);
        if (message->sample)
                memcpy(payload, message->sample, message->size);
        if (rand() % 2)
                for (uint32_t i = 4; i < message->size && i < 512; i++)
                        if (rand() % 16 == 0)
                                payload[i] = (uint8_t) (rand() % 4 ? rand() % 4 : rand());
        memcpy(payload, &message->type, sizeof(message->type));
        if (message->type == WIRE_HELLO)
                memcpy(payload + 4, &(uint32_t){ WIRE_VERSION }, 4);
        return (Header){
                .channel = message->channel,
                .n_fds = (uint8_t) (message->fds_min +
                                    (rand() % 4 ? 0 : rand() % (message->fds_max - message->fds_min + 1))),
                .kind = (uint8_t) (rand() % 3 ? 0 : rand()),
                .flags = rand() % 16 ? 0 : FLAG_WAIT,
                .size = message->size,
        };
}

static void break_one_thing(Header *header, uint8_t *payload) {
        switch (rand() % 6) {
        case 0:
                header->size += (uint32_t) (rand() % 9) - 4;
                if (header->size > PAYLOAD_MAX)
                        header->size = 0;
                break;
        case 1:
                header->n_fds = (uint8_t) (rand() % FDS_MAX);
                break;
        case 2:
                payload[rand() % 4] ^= (uint8_t) (1U << rand() % 8);
                break;
        case 3:
                header->channel ^= 1;
                break;
        case 4:
                header->kind = (uint8_t) rand();
                break;
        default:
                if (header->size > 8)
                        memset(payload + 8, rand(), header->size - 8);
                break;
        }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
        static uint8_t payload[PAYLOAD_MAX], old[DATAGRAMS_MAX * (PAYLOAD_MAX + sizeof(Header))];
        List list;

        srand(seed);
        if (size > sizeof(old))
                size = sizeof(old);
        memcpy(old, data, size);
        list_read(&list, old, size);

        if (list.n == 0) {
                make_conversation(&list);
                return list_write(&list, data, max_size);
        }
        size_t at = (size_t) rand() % list.n;
        int what = rand() % 8;
        if (what < 3 && list.n < DATAGRAMS_MAX) { /* one more message */
                const WireMessage *message = &wire_messages[(size_t) rand() % wire_n_messages];

                list.headers[list.n] = make_message(message, payload);
                list.payloads[list.n++] = payload;
        } else if (what == 3 && list.n < DATAGRAMS_MAX) { /* the same again */
                list.headers[list.n] = list.headers[at];
                list.payloads[list.n] = list.payloads[at];
                list.n++;
        } else if (what == 4 && list.n > 1) { /* one less */
                list.n--;
                list.headers[at] = list.headers[list.n];
                list.payloads[at] = list.payloads[list.n];
        } else { /* other contents, of the same size; or something that the protocol forbids */
                Header *header = &list.headers[at];

                memset(payload, 0, sizeof(payload));
                memcpy(payload, list.payloads[at], header->size);
                if (what == 5)
                        break_one_thing(header, payload);
                else if (header->size > 4)
                        (void) LLVMFuzzerMutate(payload + 4, header->size - 4, header->size - 4);
                list.payloads[at] = payload;
        }
        return list_write(&list, data, max_size);
}

static void say(int fd, const Header *header, const uint8_t *payload) {
        struct iovec iovec = { (void *) payload, header->size };
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
                               &descriptors[(header->kind + i) % 6], sizeof(int));
                msghdr.msg_control = &control;
                msghdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        }
        (void) sendmsg(fd, &msghdr, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The lowest free number rises with every descriptor that was kept. */
static int lowest_free(void) {
        int fd = dup(STDERR_FILENO);

        close(fd);
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const struct wire_hello hello = { WIRE_HELLO, WIRE_VERSION };
        static uint8_t drain[PAYLOAD_MAX];
        static int rounds = 0;
        int before = lowest_free();
        WireTarget target;
        List list;

        list_read(&list, data, size);
        wire_target_open(&target);
        for (size_t channel = 0; channel < WIRE_CHANNELS; channel++)
                /* Some inputs begin without a greeting. */
                if (list.n == 0 || !(list.headers[0].flags & FLAG_UNGREETED))
                        (void) send(target.peers[channel], &hello, sizeof(hello), MSG_NOSIGNAL);
        for (size_t i = 0; i < list.n; i++) {
                int peer = target.peers[list.headers[i].channel % WIRE_CHANNELS];

                say(peer, &list.headers[i], list.payloads[i]);
                wire_driver_run(target.event, list.headers[i].flags & FLAG_WAIT ? wire_wait : 0);
                while (recv(peer, drain, sizeof(drain), MSG_DONTWAIT) > 0)
                        ;
        }
        wire_target_close(&target);
        /* What is opened once, at the first use, stays. */
        if (rounds++ > 16 && lowest_free() != before) {
                fprintf(stderr, "descriptor %d was not closed\n", before);
                abort();
        }
        return 0;
}
