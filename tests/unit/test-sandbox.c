/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

/* Each promise of sandbox.h is tested by trying what it forbids, in a process of its own. */

static int fd = -1; /* a memfd, opened before */

/* How the child ended that entered the sandbox and tried it: 0 it could, or the signal. */
static int try(void (*forbidden)(void)) {
        int status;
        pid_t child = fork();

        if (child == 0) {
                if (sandbox_prepare() < 0 || sandbox_enter() < 0)
                        _exit(99);
                forbidden();
                _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status))
                return WTERMSIG(status);
        assert_int_equal(WEXITSTATUS(status), 0);
        return 0;
}

#define TRY(name, ...)                                                                                      \
        static void name(void) {                                                                            \
                __VA_ARGS__;                                                                                \
        }

TRY(do_open, (void) !open("/etc/passwd", O_RDONLY))
TRY(do_open_missing, (void) !syscall(SYS_open, "", 0))
TRY(do_openat2, syscall(SYS_openat2, -1, "", NULL, 0))
TRY(do_stat, struct stat st; (void) !stat("/", &st))
TRY(do_readlink, char b[8]; (void) !readlink("/proc/self/exe", b, sizeof(b)))
TRY(do_unlink, (void) !unlink("/nonexistent"))
TRY(do_chdir, (void) !chdir("/"))
TRY(do_exec, execl("/bin/true", "true", NULL))
TRY(do_fork, (void) !fork())
TRY(do_clone3, syscall(SYS_clone3, NULL, 0))
TRY(do_vfork, syscall(SYS_vfork))
TRY(do_ptrace, ptrace(PTRACE_TRACEME, 0, 0, 0))
TRY(do_vm_read, syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0))
TRY(do_kill, kill(getppid(), 0))
TRY(do_map_exec, mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
TRY(do_map_shared, mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0))
TRY(do_map_shared_validate, mmap(NULL, 4096, PROT_WRITE, MAP_SHARED_VALIDATE, fd, 0))
TRY(do_protect_exec,
    mprotect(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096, PROT_EXEC))
TRY(do_protect_write, mprotect(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), 4096, PROT_READ | PROT_WRITE))
TRY(do_pkey_protect, syscall(SYS_pkey_mprotect, NULL, 0, PROT_WRITE, -1))
TRY(do_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
TRY(do_packet, socket(AF_PACKET, SOCK_RAW, 0))
TRY(do_vsock, socket(AF_VSOCK, SOCK_STREAM, 0))
TRY(do_bind, (void) !bind(0, NULL, 0))
TRY(do_listen, (void) !listen(0, 1))
TRY(do_accept, (void) !accept(0, NULL, NULL))
TRY(do_ioctl, ioctl(fd, 0x5401))
/* The kernel looks at 32 bits of the request, and a filter of 64 would let this by. */
TRY(do_ioctl_extended, syscall(SYS_ioctl, fd, 0xffffffff00005401UL))
TRY(do_dumpable, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
TRY(do_limit, struct rlimit l = {}; setrlimit(RLIMIT_CORE, &l))
TRY(do_setuid, (void) !setuid(0))
TRY(do_pidfd_getfd, syscall(SYS_pidfd_getfd, -1, 0, 0))
TRY(do_io_uring, syscall(SYS_io_uring_setup, 1, NULL))
TRY(do_bpf, syscall(SYS_bpf, 0, NULL, 0))

static void test_forbidden(void **state) {
        static const struct {
                const char *name;
                void (*function)(void);
        } forbidden[] = {
#define F(name) { #name, do_##name }
                F(open),       F(open_missing), F(openat2),        F(stat),         F(readlink),
                F(unlink),     F(chdir),        F(exec),           F(fork),         F(clone3),
                F(vfork),      F(ptrace),       F(vm_read),        F(kill),         F(map_exec),
                F(map_shared), F(protect_exec), F(protect_write),  F(pkey_protect), F(map_shared_validate),
                F(netlink),    F(packet),       F(vsock),          F(bind),         F(listen),
                F(accept),     F(ioctl),        F(ioctl_extended), F(dumpable),     F(limit),
                F(setuid),     F(pidfd_getfd),  F(io_uring),       F(bpf),
#undef F
        };
        (void) state;

        for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
                if (try(forbidden[i].function) != SIGSYS)
                        fail_msg("%s is allowed", forbidden[i].name);
}

/* What the program does all the time must go on. Bad arguments are enough: the filter comes first. */
TRY(do_work, char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p[0] = 1; (void) !mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0); ioctl(fd, DMA_BUF_IOCTL_SYNC, NULL);
    close(memfd_create("x", MFD_CLOEXEC)); close(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    close(socket(AF_INET6, SOCK_STREAM, 0)); close(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    lseek(fd, 0, SEEK_END); fcntl(fd, F_GET_SEALS))

static void test_allowed(void **state) {
        (void) state;
        assert_int_equal(try(do_work), 0);
}

static void test_no_core_and_not_dumpable(void **state) {
        int status;
        (void) state;

        pid_t child = fork();
        if (child == 0) {
                struct rlimit limit;
                bool good = sandbox_prepare() >= 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
                            prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
                            getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0;
                _exit(good ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_forbidden),
                cmocka_unit_test(test_allowed),
                cmocka_unit_test(test_no_core_and_not_dumpable),
        };

        fd = memfd_create("test", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, 4096) < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
