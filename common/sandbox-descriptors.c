/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/socket.h>

#include "sandbox-steps.h"

#define KINDS_MAX 32U

DEFINE_CLEANUP(DIR *, closedirp, closedir)

static int socket_option(int fd, int option) {
        int value;
        socklen_t length = sizeof(value);

        return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

static const char *socket_family(int family) {
        return family == AF_UNIX      ? "unix"
               : family == AF_INET    ? "inet"
               : family == AF_INET6   ? "inet6"
               : family == AF_NETLINK ? "netlink"
                                      : "other";
}

static const char *socket_type(int type) {
        return type == SOCK_STREAM      ? "stream"
               : type == SOCK_DGRAM     ? "datagram"
               : type == SOCK_SEQPACKET ? "seqpacket"
                                        : "other";
}

/* What is open as fd, in the words of SandboxDescriptor.kind. */
static int descriptor_kind(int directory, const char *name, char *kind, size_t size) {
        int fd = atoi(name);
        ssize_t n = readlinkat(directory, name, kind, size - 1);

        if (n < 0)
                return -errno;
        kind[n] = '\0';
        if (strncmp(kind, "socket:", strlen("socket:")) == 0)
                snprintf(kind, size, "socket:%s-%s%s", socket_family(socket_option(fd, SO_DOMAIN)),
                         socket_type(socket_option(fd, SO_TYPE)),
                         socket_option(fd, SO_ACCEPTCONN) == 1 ? "-listening" : "");
        else if (strncmp(kind, "anon_inode:", strlen("anon_inode:")) == 0)
                memmove(kind + strlen("anon:"), kind + strlen("anon_inode:"),
                        (size_t) n + 1 - strlen("anon_inode:")),
                                memcpy(kind, "anon:", strlen("anon:"));
        return 0;
}

static int take_one(const SandboxDescriptor *allowed, unsigned *counts, const char *kind, unsigned fd) {
        for (size_t i = 0; allowed[i].kind; i++) {
                assert(i < KINDS_MAX);
                if (fnmatch(allowed[i].kind, kind, 0) == 0)
                        return ++counts[i] <= allowed[i].maximum && fd >= allowed[i].least ? 0 : -EPERM;
        }
        return -EPERM;
}

int sandbox_check_descriptors(const SandboxDescriptor *allowed, char *detail) {
        _cleanup_(closedirp) DIR *directory = opendir("/proc/self/fd");
        unsigned counts[KINDS_MAX] = {};
        const struct dirent *entry;

        if (!directory)
                return SANDBOX_FAIL(detail, errno, "cannot list its own descriptors");
        while ((entry = readdir(directory))) {
                char kind[128];
                int fd = atoi(entry->d_name);

                if (entry->d_name[0] == '.' || fd <= STDERR_FILENO || fd == dirfd(directory))
                        continue;
                int r = descriptor_kind(dirfd(directory), entry->d_name, kind, sizeof(kind));
                if (r < 0)
                        return SANDBOX_FAIL(detail, r, "cannot look at descriptor %d", fd);
                r = take_one(allowed, counts, kind, (unsigned) fd);
                if (r < 0)
                        return SANDBOX_FAIL(detail, r, "descriptor %d is open, which is none of its own: %s",
                                            fd, kind);
        }
        return 0;
}
