/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of the state directory: each is there whole, old or new, whenever the machine loses power, and
 * nobody else may read it. */

#include <stddef.h>
#include <stdint.h>

int state_file_write(const char *directory, const char *name, const void *data, size_t size);

/* At most size bytes into buffer. -ENOENT; -EBADMSG: no file, or a larger one; -EPERM: others than the owner
 * may read it. */
int state_file_read(const char *directory, const char *name, void *buffer, size_t size, size_t *ret_size);

/* One that is not there is forgotten. */
int state_file_forget(const char *directory, const char *name);
/* -ENOENT: there is no file name. */
int state_file_rename(const char *directory, const char *name, const char *to);
