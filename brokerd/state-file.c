/* SPDX-License-Identifier: Apache-2.0 */

#include "state-file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cleanup.h"

static int state_directory(const char *directory) {
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int state_file_write(const char *directory, const char *name, const void *data, size_t size) {
        _cleanup_close_ int dir_fd = state_directory(directory), fd = -1;
        _cleanup_free_ char *temporary = NULL;
        int r = 0;

        if (dir_fd < 0)
                return dir_fd;
        if (asprintf(&temporary, ".%s.new", name) < 0)
                return -ENOMEM;
        if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;

        ssize_t n = write(fd, data, size);
        if (n < 0 || fsync(fd) < 0)
                r = -errno;
        else if ((size_t) n != size)
                r = -ENOSPC;
        else if (renameat(dir_fd, temporary, dir_fd, name) < 0 || fsync(dir_fd) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(dir_fd, temporary, 0);
        return r;
}

int state_file_read(const char *directory, const char *name, void *buffer, size_t size, size_t *ret_size) {
        _cleanup_close_ int dir_fd = state_directory(directory), fd = -1;
        struct stat st;

        if (dir_fd < 0)
                return dir_fd;
        fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size > (off_t) size)
                return -EBADMSG;
        if ((st.st_mode & 0077) != 0 || st.st_uid != geteuid())
                return -EPERM;

        ssize_t n = read(fd, buffer, size);
        if (n < 0)
                return -errno;
        *ret_size = (size_t) n;
        return 0;
}

int state_file_forget(const char *directory, const char *name) {
        _cleanup_close_ int dir_fd = state_directory(directory);

        if (dir_fd < 0)
                return dir_fd;
        if (unlinkat(dir_fd, name, 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        return fsync(dir_fd) < 0 ? -errno : 0;
}

int state_file_rename(const char *directory, const char *name, const char *to) {
        _cleanup_close_ int dir_fd = state_directory(directory);

        if (dir_fd < 0)
                return dir_fd;
        if (renameat(dir_fd, name, dir_fd, to) < 0 || fsync(dir_fd) < 0)
                return -errno;
        return 0;
}
