/* SPDX-License-Identifier: Apache-2.0 */

#include "wire-connection.h"

#include <sanitizer/asan_interface.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>

#include "text.h"
#include "wire.h"

/* Larger than any message of wire.h: a longer datagram shows as MSG_TRUNC. */
#define WIRE_SIZE_MAX 65536U
/* Messages handled per wake-up, so that one peer cannot starve the other sources of the loop. */
#define WIRE_BUDGET 16
/* Messages of one peer in a second. The greatest honest number is one NEXT for each output and each frame.
 */
#define WIRE_RATE_MAX (4U * WIRE_OUTPUTS_MAX * (unsigned) (UINT64_C(1000000000) / WIRE_GRANT_INTERVAL_MIN))

/* No FRAME message carries more, and no other message carries any. */
#define WIRE_CONTROL_SIZE CMSG_SPACE(sizeof(int) * WIRE_FRAME_FDS_MAX)

struct WireConnection {
        sd_event_source *source;
        int fd;
        uint32_t state;
        bool dispatching, freed;
        uint64_t second; /* CLOCK_MONOTONIC µs, when it began; in it were n_received messages */
        uint32_t n_received;
        const WireRule *rules;
        size_t n_rules;
        WireClosed closed;
        void *userdata;
};

typedef struct WireDatagram {
        alignas(8) uint8_t bytes[WIRE_SIZE_MAX];
        size_t size;
        int fds[WIRE_FRAME_FDS_MAX];
        size_t n_fds;
} WireDatagram;

static const char *const wire_hello_name = "HELLO";

bool wire_string_ok(const char *array, size_t size) {
        return memchr(array, '\0', size) != NULL && text_is_clean(array);
}

uint32_t wire_connection_state(const WireConnection *connection) {
        return connection->state;
}

int wire_connection_set_priority(WireConnection *connection, int64_t priority) {
        return sd_event_source_set_priority(connection->source, priority);
}

static void wire_datagram_close(WireDatagram *datagram) {
        for (size_t i = 0; i < datagram->n_fds; i++)
                datagram->fds[i] = safe_close(datagram->fds[i]);
        datagram->n_fds = 0;
}

WireConnection *wire_connection_free(WireConnection *connection) {
        if (!connection)
                return NULL;
        connection->source = sd_event_source_disable_unref(connection->source);
        connection->fd = safe_close(connection->fd);
        /* A handler's own connection stays in memory until the dispatch below has left it. */
        connection->freed = true;
        if (!connection->dispatching)
                free(connection);
        return NULL;
}

int wire_connection_send(WireConnection *connection, const void *message, size_t size, const int *fds,
                         size_t n_fds) {
        struct iovec iovec = { (void *) message, size };
        union {
                struct cmsghdr header;
                uint8_t bytes[WIRE_CONTROL_SIZE];
        } control = {};
        struct msghdr msghdr = { .msg_iov = &iovec, .msg_iovlen = 1 };

        if (connection->fd < 0)
                return -ENOTCONN;
        if (n_fds > WIRE_FRAME_FDS_MAX)
                return -EMFILE;
        if (n_fds > 0) {
                control.header = (struct cmsghdr){
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(sizeof(int) * n_fds),
                };
                memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
                msghdr.msg_control = &control;
                msghdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        }

        for (;;) {
                ssize_t n = sendmsg(connection->fd, &msghdr, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n >= 0)
                        return (size_t) n == size ? 0 : -EIO;
                if (errno != EINTR)
                        return -errno;
        }
}

/* One datagram with all its descriptors. 1: received; 0: end of file; negative: -EAGAIN nothing there,
 * -EMSGSIZE cut short, -EMFILE descriptors were dropped on the way (too many, or a security module refused
 * them). */
static int wire_receive(int fd, WireDatagram *datagram) {
        struct iovec iovec = { datagram->bytes, sizeof(datagram->bytes) };
        union {
                struct cmsghdr header;
                uint8_t bytes[WIRE_CONTROL_SIZE];
        } control;
        struct msghdr msghdr = {
                .msg_iov = &iovec,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;

        do
                n = recvmsg(fd, &msghdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;

        datagram->size = (size_t) n;
        datagram->n_fds = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&msghdr); c; c = CMSG_NXTHDR(&msghdr, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n_fds; i++) {
                        int received;
                        memcpy(&received, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (datagram->n_fds < ELEMENTSOF(datagram->fds))
                                datagram->fds[datagram->n_fds++] = received;
                        else {
                                /* The control buffer's alignment can leave room for one more than asked for.
                                 */
                                safe_close(received);
                                msghdr.msg_flags |= MSG_CTRUNC;
                        }
                }
        }
        if (msghdr.msg_flags & MSG_CTRUNC)
                return -EMFILE;
        if (msghdr.msg_flags & MSG_TRUNC)
                return -EMSGSIZE;
        return n > 0 || datagram->n_fds > 0;
}

static void wire_connection_end(WireConnection *connection, int error, const char *detail) {
        connection->source = sd_event_source_disable_unref(connection->source);
        connection->fd = safe_close(connection->fd);
        connection->closed(connection, error, detail, connection->userdata);
}

static int wire_hello(WireConnection *connection, const WireDatagram *datagram, char *detail, size_t size) {
        const struct wire_hello *hello = (const void *) datagram->bytes;

        if (connection->state != WIRE_STATE_NEW) {
                snprintf(detail, size, "message %s is not permitted now", wire_hello_name);
                return -EPROTO;
        }
        if (hello->version != WIRE_VERSION) {
                snprintf(detail, size, "peer speaks version %u of the protocol, this is %u: restart both",
                         hello->version, WIRE_VERSION);
                return -EPROTONOSUPPORT;
        }
        connection->state = WIRE_STATE_READY;
        return 0;
}

/* Checks the datagram against the table and calls its handler. */
static int wire_dispatch(WireConnection *connection, WireDatagram *datagram, char *detail, size_t size) {
        static const WireRule hello = {
                wire_hello_name, WIRE_HELLO, sizeof(struct wire_hello), 0, 0, 0, NULL
        };
        const WireRule *rule = NULL;
        uint32_t type;

        if (datagram->size < sizeof(type)) {
                snprintf(detail, size, "message of %zu bytes is too short for a type", datagram->size);
                return -EBADMSG;
        }
        memcpy(&type, datagram->bytes, sizeof(type));
        if (type == WIRE_HELLO)
                rule = &hello;
        for (size_t i = 0; i < connection->n_rules && !rule; i++)
                if (connection->rules[i].type == type)
                        rule = &connection->rules[i];

        if (!rule) {
                snprintf(detail, size, "message of unknown type %#x", type);
                return -EBADMSG;
        }
        if (datagram->size != rule->size) {
                snprintf(detail, size, "message %s has %zu bytes instead of %u", rule->name, datagram->size,
                         rule->size);
                return -EBADMSG;
        }
        if (datagram->n_fds < rule->fds_min || datagram->n_fds > rule->fds_max) {
                snprintf(detail, size, "message %s came with %zu descriptors instead of %u to %u",
                         rule->name, datagram->n_fds, rule->fds_min, rule->fds_max);
                return -EMFILE;
        }
        if (rule == &hello)
                return wire_hello(connection, datagram, detail, size);
        if (!(rule->states & connection->state)) {
                snprintf(detail, size, "message %s is not permitted now", rule->name);
                return -EPROTO;
        }

        /* Under AddressSanitizer, what reads on behind the message is caught. */
        ASAN_POISON_MEMORY_REGION(datagram->bytes + rule->size, sizeof(datagram->bytes) - rule->size);
        int r = rule->handler(connection, datagram->bytes, datagram->fds, datagram->n_fds,
                              connection->userdata);
        ASAN_UNPOISON_MEMORY_REGION(datagram->bytes + rule->size, sizeof(datagram->bytes) - rule->size);
        if (r < 0)
                snprintf(detail, size, "message %s was refused: %s", rule->name, strerror(-r));
        return r;
}

/* Counts a message: -EDQUOT if the peer has sent too many in this second. */
static int wire_connection_count(WireConnection *connection) {
        uint64_t now;
        int r = sd_event_now(sd_event_source_get_event(connection->source), CLOCK_MONOTONIC, &now);

        if (r < 0)
                return r;
        if (now - connection->second >= UINT64_C(1000000)) {
                connection->second = now;
                connection->n_received = 0;
        }
        return ++connection->n_received > WIRE_RATE_MAX ? -EDQUOT : 0;
}

/* 1: go on with the next datagram; 0: wait; negative: the connection is over, detail says why. */
static int wire_connection_step(WireConnection *connection, char *detail, size_t size) {
        WireDatagram datagram;
        int r;

        datagram.n_fds = 0;
        r = wire_receive(connection->fd, &datagram);
        if (r == -EAGAIN)
                return 0;
        if (r == 0)
                r = -ECONNRESET;
        else if (r == -EMSGSIZE)
                snprintf(detail, size, "message is longer than any");
        else if (r == -EMFILE)
                snprintf(detail, size,
                         "descriptors were lost on the way: too many were sent, or SELinux refused them");
        else if (r > 0) {
                r = wire_connection_count(connection);
                if (r < 0)
                        snprintf(detail, size, "more than %u messages in a second", WIRE_RATE_MAX);
                else
                        r = wire_dispatch(connection, &datagram, detail, size);
        }
        wire_datagram_close(&datagram);
        return r < 0 ? r : 1;
}

static int wire_connection_readable(sd_event_source *source _unused_, int fd _unused_,
                                    uint32_t events _unused_, void *userdata) {
        WireConnection *connection = userdata;
        char detail[160] = "";
        int r = 1;

        connection->dispatching = true;
        for (int i = 0; i < WIRE_BUDGET && r > 0 && !connection->freed; i++)
                r = wire_connection_step(connection, detail, sizeof(detail));
        connection->dispatching = false;

        if (connection->freed)
                free(connection);
        else if (r == -ECONNRESET)
                wire_connection_end(connection, 0, "closed by the peer");
        else if (r < 0)
                wire_connection_end(connection, r, detail[0] ? detail : strerror(-r));
        return 0;
}

int wire_connection_new(WireConnection **ret, sd_event *event, int fd, const WireRule *rules, size_t n_rules,
                        WireClosed closed, void *userdata) {
        const struct wire_hello hello = { WIRE_HELLO, WIRE_VERSION };
        _cleanup_(wire_connection_freep) WireConnection *connection = NULL;
        int r;

        connection = calloc(1, sizeof(*connection));
        if (!connection)
                return -ENOMEM;
        connection->fd = -1;
        connection->state = WIRE_STATE_NEW;
        connection->rules = rules;
        connection->n_rules = n_rules;
        connection->closed = closed;
        connection->userdata = userdata;

        r = sd_event_add_io(event, &connection->source, fd, EPOLLIN, wire_connection_readable, connection);
        if (r < 0)
                return r;
        connection->fd = fd;
        r = wire_connection_send(connection, &hello, sizeof(hello), NULL, 0);
        if (r < 0) {
                connection->fd = -1; /* still the caller's */
                return r;
        }
        *ret = TAKE_PTR(connection);
        return 0;
}
