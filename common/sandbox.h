/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Entering confinement, the same way for each process. What is confined is in policy/sandbox/: the numbered
 * promises (promises.h) and one table for each process, of the type below. */

#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "sandbox-ioctl.h"

/* One row of a filter: a system call, on a condition of its arguments, and what the process needs it for. */
typedef struct SandboxCall {
        const char *name;
        int number;
        int error;                        /* 0: allowed; else it fails with this errno */
        const char *why;                  /* for the reader */
        struct scmp_arg_cmp arguments[4]; /* all must hold; as many as have an operator */
} SandboxCall;

#define ALLOW(call, reason, ...)                                                                            \
        {                                                                                                   \
                .name = #call, .number = SCMP_SYS(call), .why = (reason), .arguments = { __VA_ARGS__ }      \
        }
/* For what a library tries and can do without; everything else that is not allowed kills the process. */
#define REFUSE(call, errno_value, reason, ...)                                                              \
        {                                                                                                   \
                .name = #call, .number = SCMP_SYS(call), .error = (errno_value), .why = (reason),           \
                .arguments = {                                                                              \
                        __VA_ARGS__                                                                         \
                }                                                                                           \
        }

/* Conditions on argument n, in its low 32 bits alone: int arguments come sign-extended from some callers and
 * zero-extended from others, the kernel looks at the low half, and a plain SCMP_CMP_EQ at both. */
#define BITS(n, mask, value)                                                                                \
        { (n), SCMP_CMP_MASKED_EQ, (uint32_t) (mask), (uint32_t) (value) }
#define IS(n, value)   BITS(n, UINT32_MAX, value)
#define HAS(n, mask)   BITS(n, mask, mask)
#define LACKS(n, mask) BITS(n, mask, 0)
/* A pointer, in all its bits. */
#define IS_NULL(n)                                                                                          \
        { (n), SCMP_CMP_EQ, 0, 0 }
/* Argument n is the process's own id. */
#define IS_SELF(n)                                                                                          \
        { (n), SCMP_CMP_MASKED_EQ, UINT32_MAX, SANDBOX_SELF }
#define SANDBOX_SELF UINT64_MAX

/* What a process may hold open, beside the three standard descriptors, when it enters. kind is a pattern
 * (fnmatch(3)) of a path, of "anon:" and the kernel's name, or of "socket:" and family, type and
 * "listening".
 */
typedef struct SandboxDescriptor {
        const char *kind;
        unsigned maximum;
        const char *why;
        unsigned least; /* none of them has a lower number */
} SandboxDescriptor;

typedef struct SandboxPolicy {
        int capability;         /* the one that is kept; -1: none */
        unsigned n_descriptors; /* RLIMIT_NOFILE from then on */
        const SandboxDescriptor *descriptors;
        const SandboxCall *calls; /* beside policy/sandbox/common.c; where both name a call, this is it */
        const SandboxIoctl *ioctls;
        size_t n_ioctls;
} SandboxPolicy;

/* What a process may still reach, known only when it starts: paths and TCP ports to connect to. What is not
 * there when it enters is not reachable later. A path whose files are replaced is to be given as their
 * directory. */
typedef struct SandboxPath {
        const char *path;
        bool writable; /* its regular files may be made, changed, renamed within and removed */
} SandboxPath;

typedef struct SandboxReach {
        const SandboxPath *paths;
        size_t n_paths;
        const uint16_t *ports;
        size_t n_ports;
} SandboxReach;

#define SANDBOX_DETAIL_SIZE 256U

/* What needs no knowledge: no new privileges, no core file, not to be looked into by its own user. First
 * thing in a process. Negative errno. */
int sandbox_prepare(void) _must_check_;

/* Gives up everything but policy and reach, and verifies in /proc/self that it is given up. For a process of
 * one thread. Returns the version of the kernel's Landlock ABI, which limits reach, 0: it has none; or a
 * negative errno with a line for the journal in detail, after which the process must end. */
int sandbox_enter(const SandboxPolicy *policy, const SandboxReach *reach,
                  char detail[SANDBOX_DETAIL_SIZE]) _must_check_;
