/* SPDX-License-Identifier: Apache-2.0 */
/* The initramfs of the test machine: loads the modules named in /modules, in that order, mounts the
 * disk and becomes the real init. An initramfs-tools image costs five seconds more under emulation. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOT_DEVICE  "/dev/vda"
#define ROOT_WAIT_MS 10000

/* PID 1 must not return: the kernel panics, and with panic=-1 QEMU ends, which the host sees at once. */
static _Noreturn void fail(const char *what) {
        fprintf(stderr, "vm-init: %s: %m\n", what);
        exit(EXIT_FAILURE);
}

static void load_module(const char *name) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "/lib/%s", name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                fail(path);
        if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
                fprintf(stderr, "vm-init: cannot load %s: %m\n", name);
        close(fd);
}

static void load_modules(void) {
        char line[NAME_MAX + 2];

        FILE *list = fopen("/modules", "re");
        if (!list)
                fail("/modules");
        while (fgets(line, sizeof(line), list)) {
                line[strcspn(line, "\n")] = '\0';
                load_module(line);
        }
        fclose(list);
}

static void wait_for_device(const char *device) {
        for (unsigned ms = 0; access(device, F_OK) < 0; ms += 10) {
                if (ms >= ROOT_WAIT_MS)
                        fail(device);
                usleep(10 * 1000);
        }
}

int main(void) {
        if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") < 0)
                fail("/dev");
        int console = open("/dev/console", O_RDWR);
        if (console >= 0)
                for (int fd = 0; fd <= STDERR_FILENO; fd++)
                        dup2(console, fd);

        load_modules();
        wait_for_device(ROOT_DEVICE);
        if (mount(ROOT_DEVICE, "/root", "ext4", MS_NOATIME, NULL) < 0)
                fail("mount " ROOT_DEVICE);
        if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL) < 0)
                fail("move /dev");
        if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
                fail("switch to the root file system");

        execl("/sbin/init", "/sbin/init", NULL);
        fail("/sbin/init");
}
