/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A row of a table of ioctls, by exact number. */
typedef struct SandboxIoctl {
        unsigned long request;
        const char *name, *why;
} SandboxIoctl;
