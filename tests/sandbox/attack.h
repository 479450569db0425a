/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an attacker inside a process tries. Linked into a copy of each daemon, which runs one of them in
 * place of its event loop, when the real sandbox_enter() has returned. */

#include "policy/sandbox/promises.h"

/* Arguments are such that where nothing forbids it, nothing comes of it: EFAULT or EBADF says that a call is
 * allowed as well as success does. */
typedef struct Attack {
        unsigned promise;
        const char *name;
        /* The processes in which it ends so. */
        unsigned killed;   /* by SIGSYS */
        unsigned refused;  /* with an errno that says no */
        unsigned paths;    /* refused, by Landlock of any ABI */
        unsigned ports;    /* refused, by Landlock's ABI 4 */
        unsigned scopes;   /* refused, by Landlock's ABI 6 */
        unsigned done;     /* it is allowed: the process needs it */
        long (*run)(void); /* ≥ 0 or a negative errno */
} Attack;

extern const Attack attacks[]; /* ended by one without a name */

/* What an attacker in uploadd tries with memory that capd has given it. Run when the daemon, in its event
 * loop and with a grant, maps the first frame. */
typedef struct FrameAttack {
        const char *name;
        const char *outcome; /* as above */
        long (*run)(int fd);
} FrameAttack;

extern const FrameAttack frame_attacks[];

/* Room before entering for what an attack finds. */
void attack_prepare(void);
