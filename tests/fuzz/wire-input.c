/* SPDX-License-Identifier: Apache-2.0 */
#include "wire-input.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire-driver.h"
#include "wire.h"

#pragma weak wire_target_mutate

/* A datagram in the making: the bytes that are to be sent. */
typedef struct Draft {
        DatagramHeader header;
        uint8_t bytes[PAYLOAD_MAX];
} Draft;

static uint32_t below(uint32_t n) {
        return (uint32_t) rand() % n;
}

void conversation_read(Conversation *conversation, const uint8_t *data, size_t size) {
        conversation->n = 0;
        while (conversation->n < DATAGRAMS_MAX && size >= sizeof(DatagramHeader)) {
                Datagram *datagram = &conversation->datagrams[conversation->n++];
                DatagramHeader *header = &datagram->header;

                memcpy(header, data, sizeof(*header));
                data += sizeof(*header);
                size -= sizeof(*header);
                if (header->size > PAYLOAD_MAX)
                        header->size = PAYLOAD_MAX;
                if (header->stored > size)
                        header->stored = (uint16_t) size;
                if (header->stored > header->size)
                        header->stored = (uint16_t) header->size;
                datagram->stored = data;
                data += header->stored;
                size -= header->stored;
        }
}

static size_t conversation_write(const Conversation *conversation, uint8_t *data, size_t max_size) {
        size_t size = 0;

        for (size_t i = 0; i < conversation->n; i++) {
                const Datagram *datagram = &conversation->datagrams[i];
                size_t stored = datagram->header.stored;

                if (sizeof(datagram->header) + stored > max_size - size)
                        break;
                memcpy(data + size, &datagram->header, sizeof(datagram->header));
                size += sizeof(datagram->header);
                if (stored > 0)
                        memcpy(data + size, datagram->stored, stored);
                size += stored;
        }
        return size;
}

static void draft_load(Draft *draft, const Datagram *datagram) {
        *draft = (Draft){ .header = datagram->header };
        if (datagram->header.stored > 0)
                memcpy(draft->bytes, datagram->stored, datagram->header.stored);
}

/* The zeros at the end are not kept. */
static Datagram draft_done(Draft *draft) {
        uint32_t stored = draft->header.size < UINT16_MAX ? draft->header.size : UINT16_MAX;

        while (stored > 0 && draft->bytes[stored - 1] == 0)
                stored--;
        draft->header.stored = (uint16_t) stored;
        return (Datagram){ draft->header, draft->bytes };
}

/* A message of the table as a peer would send it. */
static void draft_message(Draft *draft, const WireMessage *message) {
        *draft = (Draft){ .header = { .channel = message->channel,
                                      .n_fds = message->fds_min,
                                      .wait = message->wait,
                                      .size = message->size } };
        if (message->sample)
                memcpy(draft->bytes, message->sample, message->size);
        memcpy(draft->bytes, &message->type, sizeof(message->type));
}

size_t conversation_example(uint8_t *data, size_t max_size) {
        static Draft drafts[DATAGRAMS_MAX];
        Conversation conversation = {};

        for (size_t i = 0; i < wire_n_messages && i < DATAGRAMS_MAX; i++) {
                draft_message(&drafts[i], &wire_messages[i]);
                conversation.datagrams[conversation.n++] = draft_done(&drafts[i]);
        }
        return conversation_write(&conversation, data, max_size);
}

/* A number that a check may have forgotten. */
static uint64_t suspicious(uint64_t old) {
        static const uint64_t numbers[] = {
                0,         1,        2,          3,         8,         9,          15,
                16,        17,       24,         25,        63,        64,         65,
                100,       101,      255,        256,       4096,      UINT16_MAX, 1U << 18,
                INT32_MAX, 1U << 31, UINT32_MAX, 1UL << 32, INT64_MAX, 1UL << 63,  UINT64_MAX,
        };

        switch (below(4)) {
        case 0:
                return old + 1;
        case 1:
                return old - 1;
        case 2:
                return (uint64_t) rand() << 32 ^ (uint64_t) rand();
        default:
                return numbers[below(sizeof(numbers) / sizeof(numbers[0]))];
        }
}

/* Changes one field behind the type: a number, or a string that does not end. */
static void change_field(Draft *draft) {
        static const uint32_t widths[] = { 1, 2, 4, 4, 4, 8 };
        uint32_t width = widths[below(6)], size = draft->header.size, at;
        uint64_t value = 0;

        if (size < 4 + width)
                return;
        /* What decides is mostly at the front. */
        at = 4 + below(below(3) > 0 && size > 132 ? 128 : size - 4 - width + 1);
        at -= at % width;
        if (at < 4)
                at = 4;
        if (below(16) == 0) {
                memset(draft->bytes + at, 'a', below(size - at + 1));
                return;
        }
        memcpy(&value, draft->bytes + at, width);
        value = suspicious(value);
        memcpy(draft->bytes + at, &value, width);
}

/* Breaks what the table of messages says. */
static void break_rule(Draft *draft) {
        DatagramHeader *header = &draft->header;

        switch (below(9)) {
        case 0:
                header->size = (header->size + below(9) - 4) % (PAYLOAD_MAX + 1);
                break;
        case 1:
                header->size = below(PAYLOAD_MAX + 1);
                break;
        case 2:
        case 3:
                header->n_fds = (uint8_t) below(FDS_MAX);
                break;
        case 4:
                draft->bytes[below(4)] ^= (uint8_t) (1U << below(8));
                break;
        case 5:
                header->channel ^= 1;
                break;
        case 6:
                header->flags ^= FLAG_UNGREETED;
                break;
        case 7:
                header->times = (uint8_t) (below(4) > 0 ? 0 : below(below(10) + 1)); /* floods cost time */
                header->flags ^= (uint8_t) (below(2) * FLAG_COUNT_FAR);
                break;
        default:
                header->flags ^= FLAG_AGAIN;
                break;
        }
}

/* Other descriptors of those permitted, or another time to the next datagram. */
static void change_envelope(Draft *draft) {
        switch (below(3)) {
        case 0:
                for (size_t i = 0; i < wire_n_messages; i++)
                        if (memcmp(&wire_messages[i].type, draft->bytes, 4) == 0)
                                draft->header.n_fds = (uint8_t) (wire_messages[i].fds_min +
                                                                 below(wire_messages[i].fds_max -
                                                                       wire_messages[i].fds_min + 1U));
                break;
        case 1:
                draft->header.kind = (uint8_t) rand();
                break;
        default:
                draft->header.wait = (uint8_t) below(18);
                break;
        }
}

/* What the library's own mutations make of the bytes behind the type. */
static void change_bytes(Draft *draft) {
        uint32_t size = draft->header.size;

        if (size > 4)
                (void) LLVMFuzzerMutate(draft->bytes + 4, size - 4, size - 4);
}

/* One thing in it, as the one who knows it changes it. */
static void change(Draft *draft) {
        DatagramHeader *header = &draft->header;

        if (wire_target_mutate && header->channel >= WIRE_CHANNELS && below(4) > 0)
                header->size = (uint32_t) wire_target_mutate(draft->bytes, header->size, PAYLOAD_MAX);
        else
                change_field(draft);
}

static void insert(Conversation *conversation, Datagram datagram) {
        size_t at = below((uint32_t) conversation->n + 1);

        memmove(&conversation->datagrams[at + 1], &conversation->datagrams[at],
                (conversation->n - at) * sizeof(datagram));
        conversation->datagrams[at] = datagram;
        conversation->n++;
}

static void leave_out(Conversation *conversation, size_t at) {
        conversation->n--;
        memmove(&conversation->datagrams[at], &conversation->datagrams[at + 1],
                (conversation->n - at) * sizeof(conversation->datagrams[0]));
}

static void mutate(Conversation *conversation, Draft *draft) {
        size_t at = below((uint32_t) conversation->n);
        uint32_t what = below(12);
        bool room = conversation->n < DATAGRAMS_MAX;

        if (what < 3 && room) { /* one more message, as it should be or not */
                draft_message(draft, &wire_messages[below((uint32_t) wire_n_messages)]);
                for (uint32_t n = below(3); n > 0; n--)
                        change(draft);
                insert(conversation, draft_done(draft));
        } else if (what == 3 && room) /* one again */
                insert(conversation, conversation->datagrams[at]);
        else if (what == 4 && conversation->n > 1)
                leave_out(conversation, at);
        else {
                draft_load(draft, &conversation->datagrams[at]);
                if (what < 8)
                        change(draft);
                else if (what == 8)
                        break_rule(draft);
                else if (what == 9)
                        change_bytes(draft);
                else
                        change_envelope(draft);
                conversation->datagrams[at] = draft_done(draft);
        }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
        static Draft drafts[2];
        static uint8_t old[DATAGRAMS_MAX * (UINT16_MAX + sizeof(DatagramHeader))];
        Conversation conversation;

        srand(seed);
        if (size > sizeof(old))
                size = sizeof(old);
        memcpy(old, data, size);
        conversation_read(&conversation, old, size);
        if (conversation.n == 0)
                return conversation_example(data, max_size);
        for (uint32_t i = 0, n = 1 + below(2); i < n; i++)
                mutate(&conversation, &drafts[i]);
        return conversation_write(&conversation, data, max_size);
}

/* The beginning of one conversation and the end of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_out_size, unsigned int seed) {
        Conversation first, second;

        srand(seed);
        conversation_read(&first, data1, size1);
        conversation_read(&second, data2, size2);
        first.n = below((uint32_t) first.n + 1);
        for (size_t i = below((uint32_t) second.n + 1); i < second.n && first.n < DATAGRAMS_MAX; i++)
                first.datagrams[first.n++] = second.datagrams[i];
        return conversation_write(&first, out, max_out_size);
}
