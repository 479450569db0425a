/* SPDX-License-Identifier: Apache-2.0 */
#include "segment-file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "segment.h"

int segment_file_read(const char *path, uint8_t **ret_data, size_t *ret_size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        _cleanup_free_ uint8_t *data = NULL;
        struct stat st;
        size_t size = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        if (st.st_size > SEGMENT_SIZE_MAX)
                return -EFBIG;
        if (!(data = malloc((size_t) st.st_size + 1)))
                return -ENOMEM;
        while (size < (size_t) st.st_size) {
                ssize_t n = read(fd, data + size, (size_t) st.st_size - size);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        break;
                if (n > 0)
                        size += (size_t) n;
        }
        *ret_data = TAKE_PTR(data);
        *ret_size = size;
        return 0;
}
