/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The protocol between the host's guest.py and vm-agent, over one virtio-serial port.
 *
 * Frames in both directions: three little-endian 32-bit words (channel, type, length of the payload),
 * then the payload. A channel is one process in the guest; the host chooses its number. */

#define VM_PORT_NAME   "org.streamsight.test"
#define VM_PAYLOAD_MAX (32U * 1024U)

enum vm_frame_type {
        VM_FRAME_SYNC = 1, /* both ways; the payload comes back as it was: finds the start of a frame */
        VM_FRAME_EXEC,     /* to the guest: struct vm_exec, then a command for /bin/bash -c */
        VM_FRAME_INPUT,    /* to the guest: bytes for standard input; none = end of file */
        VM_FRAME_KILL,     /* to the guest: 32-bit signal number for the process group */
        VM_FRAME_OUTPUT,   /* to the host: bytes of standard output */
        VM_FRAME_ERROR,    /* to the host: bytes of standard error */
        VM_FRAME_EXIT,     /* to the host: 32-bit exit status as a shell has it; 124 = timed out */
};

enum vm_exec_flags {
        VM_EXEC_INPUT = 1, /* standard input is a pipe, not /dev/null */
        VM_EXEC_MERGE = 2, /* standard error goes where standard output goes */
};

struct vm_frame {
        uint32_t channel;
        uint32_t type;
        uint32_t length;
        uint8_t payload[VM_PAYLOAD_MAX];
};
#define VM_HEADER_SIZE offsetof(struct vm_frame, payload)

struct vm_exec {
        uint32_t timeout_ms; /* 0 = none */
        uint32_t flags;
};

/* Opens the port, waiting up to `timeout_ms` for it to appear. Returns its fd or a negative errno. */
int vm_port_open(unsigned timeout_ms);

/* Writes one frame, waiting for the host as long as need be. Returns 0 or a negative errno. */
int vm_port_send(int fd, uint32_t channel, enum vm_frame_type type, const void *payload, size_t length);

/* Reads what has come into `frame`, of which *filled bytes are there already. Returns 1 when it is whole
 * (the caller sets *filled to 0 once it is done with it), 0 when not yet, a negative errno for a frame that
 * cannot be. */
int vm_port_receive(int fd, struct vm_frame *frame, size_t *filled);
