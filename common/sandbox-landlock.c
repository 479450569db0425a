/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "sandbox-steps.h"

/* include/uapi/linux/landlock.h of later kernels, and the ABI that brought each */
#define FS_TRUNCATE         (UINT64_C(1) << 14) /* 3: Linux 6.2 */
#define FS_IOCTL_DEV        (UINT64_C(1) << 15) /* 5: Linux 6.10 */
#define NET_BIND_TCP        (UINT64_C(1) << 0)  /* 4: Linux 6.7 */
#define NET_CONNECT_TCP     (UINT64_C(1) << 1)  /* 4 */
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)  /* 6: Linux 6.12 */
#define SCOPE_SIGNAL        (UINT64_C(1) << 1)  /* 6 */
#define RULE_NET_PORT       2

/* struct landlock_ruleset_attr as of ABI 6; older kernels take it if what they do not know is zero. */
typedef struct Ruleset {
        uint64_t fs, net, scoped;
} Ruleset;

/* struct landlock_net_port_attr */
typedef struct PortRule {
        uint64_t access, port;
} PortRule;

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE                                                                                               \
        (READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                            \
         LANDLOCK_ACCESS_FS_MAKE_REG | FS_TRUNCATE)
#define ON_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

/* Everything that an ABI can forbid. */
static Ruleset everything(int abi) {
        Ruleset ruleset = { .fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };

        if (abi >= 2)
                ruleset.fs |= LANDLOCK_ACCESS_FS_REFER;
        if (abi >= 3)
                ruleset.fs |= FS_TRUNCATE;
        if (abi >= 4)
                ruleset.net = NET_BIND_TCP | NET_CONNECT_TCP;
        if (abi >= 5)
                ruleset.fs |= FS_IOCTL_DEV;
        if (abi >= 6)
                ruleset.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        return ruleset;
}

static int add_path(int ruleset_fd, const SandboxPath *path, uint64_t handled) {
        _cleanup_close_ int fd = open(path->path, O_PATH | O_CLOEXEC);
        struct landlock_path_beneath_attr rule = { .parent_fd = fd };
        struct stat st;

        /* What it may not even look at, by its user or SELinux, it cannot reach later either. */
        if (fd < 0)
                return errno == ENOENT || errno == EACCES ? 0 : -errno;
        if (fstat(fd, &st) < 0)
                return errno == EACCES ? 0 : -errno;
        rule.allowed_access = (path->writable ? WRITE : READ) & handled;
        if (!S_ISDIR(st.st_mode))
                rule.allowed_access &= ON_FILES;
        return syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno
                                                                                                    : 0;
}

/* The kernel is asked whether it does what it said: no path is given that leads to the root directory. */
static int check(char *detail) {
        _cleanup_close_ int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0 || errno != EACCES)
                return SANDBOX_FAIL(detail, EPERM, "Landlock is in force, and / can be opened");
        return 0;
}

int sandbox_landlock(const SandboxReach *reach, char *detail) {
        _cleanup_close_ int fd = -1;
        int abi = (int) syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        const Ruleset ruleset = everything(abi);

        if (abi < 0)
                return errno == ENOSYS || errno == EOPNOTSUPP
                                       ? 0
                                       : SANDBOX_FAIL(detail, errno, "cannot ask for Landlock");
        fd = (int) syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
        if (fd < 0)
                return SANDBOX_FAIL(detail, errno, "cannot make Landlock's rules");
        for (size_t i = 0; i < reach->n_paths; i++) {
                int r = add_path(fd, &reach->paths[i], ruleset.fs);
                if (r < 0)
                        return SANDBOX_FAIL(detail, r, "cannot allow %s", reach->paths[i].path);
        }
        for (size_t i = 0; i < reach->n_ports && ruleset.net != 0; i++) {
                const PortRule rule = { NET_CONNECT_TCP, reach->ports[i] };
                if (syscall(SYS_landlock_add_rule, fd, RULE_NET_PORT, &rule, 0) < 0)
                        return SANDBOX_FAIL(detail, errno, "cannot allow TCP port %u", reach->ports[i]);
        }
        if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
                return SANDBOX_FAIL(detail, errno, "cannot put Landlock's rules in force");
        return check(detail) < 0 ? -EPERM : abi;
}
