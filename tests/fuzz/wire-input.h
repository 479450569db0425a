/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An input of the wire's targets: a conversation, which is a list of datagrams with descriptors. What is
 * made of it by mutation is mostly what the protocol allows, with one thing broken, or it would end at the
 * first size check. */

#include <stddef.h>
#include <stdint.h>

#define DATAGRAMS_MAX 64U
#define PAYLOAD_MAX   66000U /* a little more than any receiver's buffer */
#define FDS_MAX       40U

#define FLAG_UNGREETED 1U /* of the first datagram: no HELLO before it */
#define FLAG_AGAIN     2U /* over a new connection, if the daemon is the one who listens */
#define FLAG_COUNT_FAR 4U /* of many: counted are the four bytes from the ninth, not from the fifth */

/* Before each datagram in an input, followed by its first stored bytes; the rest are zeros. */
typedef struct DatagramHeader {
        uint8_t channel;
        uint8_t n_fds;
        uint8_t kind;  /* which descriptors, wire-driver.c */
        uint8_t flags; /* FLAG_* */
        uint8_t wait;  /* 0: none; n: 2^n ms pass after it, at most 2^17 */
        uint8_t times; /* n: 2^n of it, at most 2^9, each with the next number */
        uint16_t stored;
        uint32_t size;
} DatagramHeader;

typedef struct Datagram {
        DatagramHeader header;
        const uint8_t *stored; /* header.stored bytes of the input */
} Datagram;

typedef struct Conversation {
        Datagram datagrams[DATAGRAMS_MAX];
        size_t n;
} Conversation;

/* Reads as many datagrams as are whole; what is out of bounds is cut to them. */
void conversation_read(Conversation *conversation, const uint8_t *data, size_t size);

/* The target's messages, one after the other, each with time to act upon it: what a good peer says. Returns
 * the bytes used, at most max_size. */
size_t conversation_example(uint8_t *data, size_t max_size);
