/* SPDX-License-Identifier: Apache-2.0 */
#include "vm-port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PORTS_DIRECTORY "/sys/class/virtio-ports"

/* By its name in sysfs rather than udev's symlink, which comes later in the boot. */
static int find_port(char *ret_path, size_t size) {
        int r = -ENOENT;

        DIR *ports = opendir(PORTS_DIRECTORY);
        if (!ports)
                return -errno;
        for (struct dirent *entry; r < 0 && (entry = readdir(ports));) {
                char path[PATH_MAX], name[64] = "";

                snprintf(path, sizeof(path), PORTS_DIRECTORY "/%s/name", entry->d_name);
                FILE *file = fopen(path, "re");
                if (!file)
                        continue;
                if (fgets(name, sizeof(name), file) && !strcmp(name, VM_PORT_NAME "\n")) {
                        snprintf(ret_path, size, "/dev/%s", entry->d_name);
                        r = 0;
                }
                fclose(file);
        }
        closedir(ports);
        return r;
}

int vm_port_open(unsigned timeout_ms) {
        char path[PATH_MAX];

        for (unsigned waited = 0;; waited += 50) {
                int r = find_port(path, sizeof(path));
                if (r >= 0) {
                        int fd = open(path, O_RDWR | O_CLOEXEC);
                        if (fd >= 0)
                                return fd;
                        r = -errno;
                }
                if (waited >= timeout_ms)
                        return r;
                usleep(50 * 1000);
        }
}

static int write_all(int fd, const void *data, size_t length) {
        for (const uint8_t *p = data; length > 0;) {
                ssize_t n = write(fd, p, length);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                length -= (size_t) n;
        }
        return 0;
}

int vm_port_send(int fd, uint32_t channel, enum vm_frame_type type, const void *payload, size_t length) {
        struct vm_frame frame = { .channel = channel, .type = type, .length = (uint32_t) length };

        if (length > sizeof(frame.payload))
                return -EMSGSIZE;
        if (length > 0)
                memcpy(frame.payload, payload, length);
        return write_all(fd, &frame, VM_HEADER_SIZE + length);
}

int vm_port_receive(int fd, struct vm_frame *frame, size_t *filled) {
        size_t want = VM_HEADER_SIZE;

        if (*filled >= VM_HEADER_SIZE) {
                if (frame->length > sizeof(frame->payload))
                        return -EMSGSIZE;
                want += frame->length;
        }
        ssize_t n = read(fd, (uint8_t *) frame + *filled, want - *filled);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        *filled += (size_t) n;
        if (*filled < VM_HEADER_SIZE)
                return 0;
        return *filled == VM_HEADER_SIZE + frame->length;
}
