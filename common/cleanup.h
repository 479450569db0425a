/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Scope-bound ownership, in the manner of systemd's src/fundamental: a variable marked _cleanup_(f) is
 * released by f(&variable) when it leaves scope, unless it was given away with TAKE_PTR or TAKE_FD. */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _must_check_   __attribute__((warn_unused_result))
#define _noreturn_     __attribute__((noreturn))
#define _unused_       __attribute__((unused))

#define ELEMENTSOF(array) (sizeof(array) / sizeof((array)[0]))

/* Hands the pointer over: the variable is NULL afterwards and its cleanup does nothing. */
#define TAKE_PTR(pointer)                                                                                   \
        ({                                                                                                  \
                __auto_type _taken = (pointer);                                                             \
                (pointer) = NULL;                                                                           \
                _taken;                                                                                     \
        })

/* Hands the file descriptor over: the variable is -1 afterwards. */
#define TAKE_FD(fd)                                                                                         \
        ({                                                                                                  \
                int _taken = (fd);                                                                          \
                (fd) = -1;                                                                                  \
                _taken;                                                                                     \
        })

/* Defines namep(), for _cleanup_(namep), which calls free_function unless the pointer is NULL. */
#define DEFINE_CLEANUP(type, name, free_function)                                                           \
        static inline void name(type *pointer) {                                                            \
                if (*pointer)                                                                               \
                        free_function(*pointer);                                                            \
        }

static inline void freep(void *pointer) {
        free(*(void **) pointer);
}

/* Closes fd if it is one, keeping errno, and returns -1, so that `fd = safe_close(fd)` forgets it. */
static inline int safe_close(int fd) {
        if (fd >= 0) {
                int saved = errno;
                close(fd);
                errno = saved;
        }
        return -1;
}

static inline void closep(int *fd) {
        *fd = safe_close(*fd);
}

DEFINE_CLEANUP(FILE *, fclosep, fclose)

#define _cleanup_free_   _cleanup_(freep)
#define _cleanup_close_  _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)
