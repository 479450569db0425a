/* SPDX-License-Identifier: Apache-2.0 */
#include "attack.h"

#include <arpa/inet.h>
#include <drm.h>
#include <drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/dma-buf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101 /* asm-generic/mman-common.h */
#endif

#define DRM_MAJOR 226U

static int memory = -1;      /* a memfd, as capd passes one */
static const char *abstract; /* the name of a Unix socket that listens */
static const char *listener; /* the path of one */
static const char *victim;   /* a file that everybody may change, in a folder likewise */
static int device;           /* the first graphics card that it has opened, else memory */
static struct ucred another; /* itself, but that it is another process of the machine */
static int notice;           /* the socket to systemd or the journal, else stderr */

void attack_prepare(void) {
        /* Opened by the copy itself: replaces stdin, which is no descriptor of the table's. Empty, for none
         * is read, and brokerd's domain lets it change none. (Neither does it let abort(3) end it by
         * SIGABRT: that is SIGSEGV then.) */
        memory = memfd_create("given", MFD_CLOEXEC);
        if (memory < 0 || dup2(memory, STDIN_FILENO) < 0)
                abort();
        close(memory);
        memory = STDIN_FILENO;
        abstract = getenv("STREAMSIGHT_ABSTRACT") ?: "";
        listener = getenv("STREAMSIGHT_SOCKET") ?: "/nonexistent";
        victim = getenv("STREAMSIGHT_VICTIM") ?: "/nonexistent";
        const char *sibling = getenv("STREAMSIGHT_SIBLING");
        another = (struct ucred){ sibling ? atoi(sibling) : getppid(), getuid(), getgid() };
        notice = STDERR_FILENO;
        for (int fd = 255; fd > STDERR_FILENO && notice == STDERR_FILENO; fd--) {
                int type = 0;
                socklen_t length = sizeof(type);
                if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM)
                        notice = fd;
        }
        device = memory;
        for (int fd = STDERR_FILENO + 1; fd < 64 && device == memory; fd++) {
                struct stat st;
                if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == DRM_MAJOR)
                        device = fd;
        }
}

#define C(...)                                                                                              \
        ({                                                                                                  \
                long _r = syscall(__VA_ARGS__);                                                             \
                _r < 0 ? -(long) errno : _r;                                                                \
        })
#define ATTACK(name, expression)                                                                            \
        static long name(void) {                                                                            \
                return (expression);                                                                        \
        }

/* 2 */
static long many_descriptors(void) {
        for (int i = 0; i < 5000; i++)
                if (memfd_create("many", MFD_ALLOW_SEALING) < 0)
                        return -errno;
        return 0;
}
static long many_sockets(void) {
        for (int i = 0; i < 5000; i++)
                if (socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) < 0)
                        return -errno;
        return 0;
}
ATTACK(raise_limit, C(SYS_prlimit64, 0, RLIMIT_NOFILE, &((struct rlimit64){ 5000, 5000 }), NULL))
ATTACK(dup_three, C(SYS_dup3, memory, 900, 0))
ATTACK(dup_two, C(SYS_dup2, memory, 900))

/* 3 */
ATTACK(be_dumpable, C(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0))
ATTACK(allow_core, C(SYS_prlimit64, 0, RLIMIT_CORE, &((struct rlimit64){ 1, 1 }), NULL))
ATTACK(choose_tracer, C(SYS_prctl, PR_SET_PTRACER, -1, 0, 0, 0))

/* 4 to 7 */
static long set_capabilities(uint32_t bits, uint32_t inheritable) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2] = { { bits, bits, inheritable } };

        return C(SYS_capset, &header, data);
}
ATTACK(get_capability, set_capabilities(1U << CAP_SYS_PTRACE, 0))
ATTACK(inherit_capability, set_capabilities(1U << CAP_SYS_ADMIN, 1U << CAP_SYS_ADMIN))
ATTACK(ambient_capability, C(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0))
ATTACK(keep_capabilities, C(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0))
ATTACK(secure_bits, C(SYS_prctl, PR_SET_SECUREBITS, 0, 0, 0, 0))

/* 8, 9 */
static char *const nothing[] = { NULL };
/* It reports for itself, as report() in attacked.c does. */
static const char *const say_so[] = { "echo", "attack exec ended with 0", NULL };
ATTACK(exec, C(SYS_execve, "/bin/echo", say_so, nothing))
ATTACK(exec_descriptor, C(SYS_execveat, memory, "", nothing, nothing, AT_EMPTY_PATH))
ATTACK(do_fork, C(SYS_fork))
ATTACK(do_vfork, C(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0))
ATTACK(clone_process, C(SYS_clone, SIGCHLD, 0, 0, 0, 0))
ATTACK(clone_sharing, C(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND, 0, 0, 0, 0))
ATTACK(clone_three, C(SYS_clone3, NULL, 0))
ATTACK(clone_thread,
       C(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWUSER, 0, 0,
         0, 0))

/* 10 */
ATTACK(open_file, C(SYS_open, "/usr/lib/os-release", O_RDONLY))
ATTACK(open_at, C(SYS_openat, AT_FDCWD, "/usr/lib/os-release", O_RDONLY))
ATTACK(open_two, C(SYS_openat2, AT_FDCWD, "", NULL, 0))
ATTACK(open_root, C(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY))
ATTACK(open_victim, C(SYS_openat, AT_FDCWD, victim, O_RDONLY))
ATTACK(open_processes, C(SYS_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY))
ATTACK(open_own_memory, C(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR))
ATTACK(open_handle, C(SYS_open_by_handle_at, AT_FDCWD, NULL, 0))
ATTACK(look_at, C(SYS_stat, "/", NULL))
ATTACK(look_extended, C(SYS_statx, AT_FDCWD, "/", 0, 0, NULL))
ATTACK(read_link, C(SYS_readlink, "/proc/self/exe", NULL, 0))
ATTACK(change_directory, C(SYS_chdir, "/"))
ATTACK(change_root, C(SYS_chroot, "/"))
ATTACK(watch, C(SYS_inotify_init1, 0))
ATTACK(read_etc, C(SYS_openat, AT_FDCWD, "/etc/hosts", O_RDONLY))

/* 11 */
static const char *path(const char *name) {
        static char text[256];

        snprintf(text, sizeof(text), "%s.%s", victim, name);
        return text;
}
ATTACK(create, C(SYS_openat, AT_FDCWD, path("new"), O_WRONLY | O_CREAT, 0600))
ATTACK(write_file, C(SYS_openat, AT_FDCWD, victim, O_WRONLY))
ATTACK(write_etc, C(SYS_openat, AT_FDCWD, "/etc/hosts", O_WRONLY))
ATTACK(remove_file, C(SYS_unlink, victim))
ATTACK(move, C(SYS_renameat, AT_FDCWD, victim, AT_FDCWD, path("moved")))
ATTACK(make_directory, C(SYS_mkdirat, AT_FDCWD, path("folder"), 0700))
ATTACK(make_link, C(SYS_symlinkat, "/", AT_FDCWD, path("link")))
ATTACK(make_hard_link, C(SYS_linkat, AT_FDCWD, victim, AT_FDCWD, path("link"), 0))
ATTACK(make_node, C(SYS_mknodat, AT_FDCWD, path("node"), S_IFCHR, 0))
ATTACK(change_mode, C(SYS_fchmodat, AT_FDCWD, victim, 0666))
ATTACK(change_owner, C(SYS_fchownat, AT_FDCWD, victim, 0, 0, 0))
ATTACK(cut, C(SYS_truncate, victim, 0))
ATTACK(set_attribute, C(SYS_setxattr, victim, "user.x", "", 0, 0))

/* 12 to 14 */
ATTACK(netlink, C(SYS_socket, AF_NETLINK, SOCK_RAW, 0))
ATTACK(packet, C(SYS_socket, AF_PACKET, SOCK_RAW, 0))
ATTACK(vsock, C(SYS_socket, AF_VSOCK, SOCK_STREAM, 0))
ATTACK(algorithms, C(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0))
ATTACK(bluetooth, C(SYS_socket, AF_BLUETOOTH, SOCK_RAW, 0))
ATTACK(inet, C(SYS_socket, AF_INET, SOCK_STREAM, 0))
ATTACK(inet_six, C(SYS_socket, AF_INET6, SOCK_STREAM, 0))
ATTACK(unix_stream, C(SYS_socket, AF_UNIX, SOCK_STREAM, 0))
ATTACK(unix_datagram, C(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0))
ATTACK(datagram_pair, C(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, NULL))
ATTACK(family_extended, C(SYS_socket, 0xffffffff00000000UL | AF_PACKET, SOCK_RAW, 0))
ATTACK(udp, C(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
ATTACK(udp_six, C(SYS_socket, AF_INET6, SOCK_DGRAM, IPPROTO_UDP))
ATTACK(udp_extended, C(SYS_socket, AF_INET, 0xffffffff00000000UL | SOCK_DGRAM, 0))
ATTACK(tcp, C(SYS_socket, AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP))
ATTACK(mptcp, C(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP))
ATTACK(mptcp_six, C(SYS_socket, AF_INET6, SOCK_STREAM, 0xffffffff00000000UL | IPPROTO_MPTCP))
ATTACK(sctp, C(SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_SCTP))
ATTACK(seqpacket, C(SYS_socket, AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP))
ATTACK(udplite, C(SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE))
ATTACK(ping, C(SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP))
ATTACK(raw, C(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_RAW))
ATTACK(raw_six, C(SYS_socket, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6))
ATTACK(bind_address, C(SYS_bind, memory, NULL, 0))
ATTACK(do_listen, C(SYS_listen, memory, 1))
ATTACK(do_accept, C(SYS_accept, memory, NULL, NULL))

static long dial(const void *address, socklen_t size, int family, int type) {
        long fd = C(SYS_socket, family, type, 0);

        return fd < 0 ? fd : C(SYS_connect, fd, address, size);
}
static long dial_port(uint16_t port) {
        const struct sockaddr_in address = { AF_INET, htons(port), { htonl(INADDR_LOOPBACK) }, {} };

        return dial(&address, sizeof(address), AF_INET, SOCK_STREAM);
}
static long dial_abstract(int type) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        strncpy(address.sun_path + 1, abstract, sizeof(address.sun_path) - 2);
        return dial(&address, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract)),
                    AF_UNIX, type);
}
ATTACK(dial_abstract_stream, dial_abstract(SOCK_STREAM))
ATTACK(dial_abstract_packets, dial_abstract(SOCK_SEQPACKET))
static long dial_path(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        strncpy(address.sun_path, listener, sizeof(address.sun_path) - 1);
        return dial(&address, sizeof(address), AF_UNIX, SOCK_SEQPACKET);
}
ATTACK(connect_ssh, dial_port(22))
ATTACK(connect_pinned, dial_port(4443))
/* What connects without connect(2), to a port that is not pinned. */
static long send_to(uint16_t port, unsigned flags) {
        const struct sockaddr_in address = { AF_INET, htons(port), { htonl(INADDR_LOOPBACK) }, {} };
        long fd = C(SYS_socket, AF_INET, SOCK_STREAM, 0);

        return fd < 0 ? fd : C(SYS_sendto, fd, "x", 1, flags | MSG_NOSIGNAL, &address, sizeof(address));
}
static struct msghdr *message(void) {
        static struct sockaddr_in address = { AF_INET, 0x1600, { 0x0100007f }, {} }; /* 127.0.0.1:22 */
        static struct iovec data = { &address, 1 };
        static struct msghdr header = { &address, sizeof(address), &data, 1, NULL, 0, 0 };

        return &header;
}
ATTACK(fastopen, send_to(22, MSG_FASTOPEN))
ATTACK(send_elsewhere, send_to(22, 0))
ATTACK(fastopen_extended, C(SYS_sendto, memory, "", 0, 0xffffffff00000000UL | MSG_FASTOPEN, NULL, 0))
static int stream(void) {
        return socket(AF_INET, SOCK_STREAM, 0);
}
ATTACK(fastopen_message, C(SYS_sendmsg, stream(), message(), MSG_FASTOPEN))
ATTACK(fastopen_messages, C(SYS_sendmmsg, stream(), &(struct mmsghdr){ *message(), 0 }, 1, MSG_FASTOPEN))
#define OPTION(level, option) C(SYS_setsockopt, memory, level, option, NULL, 0)
ATTACK(change_transport, OPTION(IPPROTO_TCP, TCP_ULP))
ATTACK(repair, OPTION(IPPROTO_TCP, TCP_REPAIR))
ATTACK(attach_filter, OPTION(SOL_SOCKET, SO_ATTACH_FILTER))
ATTACK(attach_bpf, OPTION(SOL_SOCKET, SO_ATTACH_BPF))
ATTACK(bind_device, OPTION(SOL_SOCKET, SO_BINDTODEVICE))
ATTACK(set_mark, OPTION(SOL_SOCKET, SO_MARK))
ATTACK(replace_table, OPTION(IPPROTO_IP, 64)) /* IPT_SO_SET_REPLACE */
ATTACK(join_group, OPTION(IPPROTO_IP, IP_ADD_MEMBERSHIP))
ATTACK(send_at_once, OPTION(IPPROTO_TCP, TCP_NODELAY))
ATTACK(connect_any, C(SYS_connect, memory, NULL, 0))

/* 15, 16 */
ATTACK(trace, C(SYS_ptrace, PTRACE_SEIZE, another.pid, 0, 0))
ATTACK(be_traced, C(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0))
ATTACK(read_memory, C(SYS_process_vm_readv, another.pid, NULL, 0, NULL, 0, 0))
ATTACK(write_memory, C(SYS_process_vm_writev, another.pid, NULL, 0, NULL, 0, 0))
ATTACK(take_descriptor, C(SYS_pidfd_getfd, memory, 0, 0))
ATTACK(open_process, C(SYS_pidfd_open, another.pid, 0))
ATTACK(compare, C(SYS_kcmp, 1, 1, 0, 0, 0))
ATTACK(advise_other, C(SYS_process_madvise, memory, NULL, 0, 0, 0))
ATTACK(do_kill, C(SYS_kill, another.pid, 0))
ATTACK(kill_thread, C(SYS_tkill, 1, 0))
ATTACK(kill_other, C(SYS_tgkill, 1, 1, 0))
ATTACK(kill_descriptor, C(SYS_pidfd_send_signal, memory, 0, NULL, 0))
#define CONTROL(command, value) C(SYS_fcntl, memory, command, value)
ATTACK(own, CONTROL(F_SETOWN, getppid()))
ATTACK(own_extended, CONTROL(F_SETOWN_EX, NULL))
ATTACK(choose_signal, CONTROL(F_SETSIG, SIGTERM))
ATTACK(signal_when_ready, CONTROL(F_SETFL, O_ASYNC))
ATTACK(take_lease, CONTROL(F_SETLEASE, F_RDLCK))
ATTACK(watch_directory, CONTROL(F_NOTIFY, 1))
ATTACK(not_to_block, CONTROL(F_SETFL, O_NONBLOCK))
ATTACK(queue_signal, C(SYS_rt_sigqueueinfo, 1, 0, NULL))

/* 17, 18 */
static long map(unsigned long protection, unsigned long flags, int fd) {
        return C(SYS_mmap, NULL, 4096, protection, flags, fd, 0);
}
static long protect(unsigned long before, unsigned long flags, int fd, unsigned long after) {
        return C(SYS_mprotect, map(before, flags, fd), 4096, after);
}
ATTACK(map_code, map(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1))
ATTACK(map_code_extended, map(0xffffffff00000000UL | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1))
ATTACK(map_file_code, map(PROT_READ | PROT_EXEC, MAP_PRIVATE, memory))
ATTACK(make_code, protect(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, PROT_READ | PROT_EXEC))
ATTACK(make_code_by_key, C(SYS_pkey_mprotect, NULL, 4096, PROT_EXEC, -1))
ATTACK(attach_memory, C(SYS_shmat, 0, NULL, 0))
ATTACK(map_given, map(PROT_READ | PROT_WRITE, MAP_SHARED, memory))
ATTACK(map_given_validated, map(PROT_WRITE, MAP_SHARED_VALIDATE, memory))
ATTACK(make_writable, protect(PROT_READ, MAP_SHARED, memory, PROT_READ | PROT_WRITE))
ATTACK(read_given, map(PROT_READ, MAP_SHARED, memory))

static long map_frame(int fd) {
        return map(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
}
static long make_frame_writable(int fd) {
        return protect(PROT_READ, MAP_SHARED, fd, PROT_READ | PROT_WRITE);
}
static long name_frame(int fd) {
        return C(SYS_ioctl, fd, 0xffffffff00000000UL | DMA_BUF_SET_NAME_B, NULL);
}
/* Of what it may do with a frame. Nothing but a dma-buf has the second. */
static long read_frame(int fd) {
        const struct dma_buf_sync sync = { DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
        long r = map(PROT_READ, MAP_SHARED, fd);

        return r < 0 ? r : C(SYS_ioctl, fd, DMA_BUF_IOCTL_SYNC, &sync);
}

const FrameAttack frame_attacks[] = {
        { "map_frame", "killed", map_frame },
        { "make_frame_writable", "killed", make_frame_writable },
        { "name_frame", "killed", name_frame },
        { "read_frame", "done", read_frame },
        {},
};

/* 19, 20 */
#define REQUEST(request)  C(SYS_ioctl, device, (unsigned long) (request), NULL)
#define EXTENDED(request) REQUEST(0xffffffff00000000UL | (request))
ATTACK(terminal, REQUEST(0x5401))
ATTACK(inject_input, REQUEST(0x5412))
ATTACK(terminal_extended, EXTENDED(0x5401))
ATTACK(near_sync, REQUEST(DMA_BUF_IOCTL_SYNC + 1))
ATTACK(near_table, REQUEST((uint32_t) DRM_IOCTL_MODE_GETFB2 + 0x10000))
ATTACK(kvm, REQUEST(0xae01))
ATTACK(set_master, REQUEST(DRM_IOCTL_SET_MASTER))
ATTACK(set_master_extended, EXTENDED(DRM_IOCTL_SET_MASTER))
ATTACK(drop_master, REQUEST(DRM_IOCTL_DROP_MASTER))
ATTACK(set_mode, REQUEST(DRM_IOCTL_MODE_SETCRTC))
ATTACK(set_mode_extended, EXTENDED(DRM_IOCTL_MODE_SETCRTC))
ATTACK(commit, REQUEST(DRM_IOCTL_MODE_ATOMIC))
ATTACK(flip, REQUEST(DRM_IOCTL_MODE_PAGE_FLIP))
ATTACK(set_plane, REQUEST(DRM_IOCTL_MODE_SETPLANE))
ATTACK(set_property, REQUEST(DRM_IOCTL_MODE_OBJ_SETPROPERTY))
ATTACK(set_cursor, REQUEST(DRM_IOCTL_MODE_CURSOR2))
ATTACK(set_gamma, REQUEST(DRM_IOCTL_MODE_SETGAMMA))
ATTACK(add_framebuffer, REQUEST(DRM_IOCTL_MODE_ADDFB2))
ATTACK(mark_dirty, REQUEST(DRM_IOCTL_MODE_DIRTYFB))
ATTACK(create_buffer, REQUEST(DRM_IOCTL_MODE_CREATE_DUMB))
ATTACK(lease, REQUEST(DRM_IOCTL_MODE_CREATE_LEASE))
ATTACK(authenticate, REQUEST(DRM_IOCTL_AUTH_MAGIC))
ATTACK(change_client, REQUEST(DRM_IOCTL_SET_CLIENT_CAP))

/* 21 to 24 */
ATTACK(unshare_user, C(SYS_unshare, CLONE_NEWUSER))
ATTACK(enter_namespace, C(SYS_setns, memory, 0))
ATTACK(do_mount, C(SYS_mount, "none", "/", "no-such-type", 0, NULL))
ATTACK(do_umount, C(SYS_umount2, "/nonexistent", 0))
ATTACK(open_tree, C(SYS_open_tree, AT_FDCWD, "/", 0))
ATTACK(open_filesystem, C(SYS_fsopen, "tmpfs", 0))
ATTACK(move_mount, C(SYS_move_mount, 0, "", 0, "", 0))
ATTACK(pivot, C(SYS_pivot_root, "/nonexistent", "/nonexistent"))
ATTACK(add_key, C(SYS_add_key, "user", "x", "x", 1, -3))
ATTACK(keyring, C(SYS_keyctl, 0, -3, 0, 0, 0))
ATTACK(request_key, C(SYS_request_key, "user", "x", NULL, 0))
ATTACK(bpf, C(SYS_bpf, 0, NULL, 0))
ATTACK(load_module, C(SYS_init_module, NULL, 0, ""))
ATTACK(load_module_file, C(SYS_finit_module, memory, "", 0))
ATTACK(load_kernel, C(SYS_kexec_load, 0, 0, NULL, 0))
ATTACK(perf, C(SYS_perf_event_open, NULL, 0, -1, -1, 0))
ATTACK(fault_handler, C(SYS_userfaultfd, 0))
ATTACK(uring, C(SYS_io_uring_setup, 1, NULL))
ATTACK(uring_enter, C(SYS_io_uring_enter, memory, 1, 0, 0, NULL, 0))
ATTACK(aio, C(SYS_io_setup, 1, NULL))

/* 25 to 27 */
ATTACK(become_root, C(SYS_setuid, 0))
ATTACK(become_group, C(SYS_setgid, 0))
ATTACK(become_users, C(SYS_setresuid, 0, 0, 0))
ATTACK(join_groups, C(SYS_setgroups, 0, NULL))
ATTACK(filesystem_user, C(SYS_setfsuid, 0))
ATTACK(change_filter, C(SYS_seccomp, 1, 0, NULL))
ATTACK(change_filter_old, C(SYS_prctl, PR_SET_SECCOMP, 2, NULL, 0, 0))
ATTACK(change_landlock, C(SYS_landlock_restrict_self, -1, 0))
ATTACK(change_personality, C(SYS_personality, 0x0400000))
ATTACK(allow_reading_clock, C(SYS_arch_prctl, 0x1002, 0))
ATTACK(compat_abi, ({
               long r;
               __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
               r;
       }))
ATTACK(other_abi, C(0x40000000 | SYS_getpid))
ATTACK(unknown_call, C(4095))
ATTACK(set_clock, C(SYS_clock_settime, CLOCK_REALTIME, NULL))
ATTACK(adjust_clock, C(SYS_clock_adjtime, CLOCK_REALTIME, NULL))
ATTACK(set_time, C(SYS_settimeofday, NULL, NULL))
ATTACK(set_name, C(SYS_sethostname, "x", -1))
ATTACK(swap_on, C(SYS_swapon, "/dev/null", 0))
ATTACK(do_reboot, C(SYS_reboot, 0, 0, 0, NULL))
ATTACK(read_log, C(SYS_syslog, 3, NULL, 0))
ATTACK(limit_other, C(SYS_prlimit64, 1, RLIMIT_NOFILE, NULL, NULL))
#define ADVISE(advice)                                                                                      \
        C(SYS_madvise, mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096,  \
          advice)
/* Both take a page of the machine's memory away for good, where CAP_SYS_ADMIN asks. Nothing is mapped there.
 */
ATTACK(poison_memory, C(SYS_madvise, NULL, 4096, MADV_HWPOISON))
ATTACK(offline_memory, C(SYS_madvise, NULL, 4096, MADV_SOFT_OFFLINE))
ATTACK(poison_extended, C(SYS_madvise, NULL, 4096, 0xffffffff00000000UL | MADV_HWPOISON))
ATTACK(free_memory, ADVISE(MADV_DONTNEED))
ATTACK(set_priority, C(SYS_setpriority, PRIO_PROCESS, 0, -20))
ATTACK(set_scheduler, C(SYS_sched_setscheduler, 0, SCHED_FIFO, NULL))
ATTACK(ports, C(SYS_iopl, 3))

/* 29 */
static long speak_as_another(int fd) {
        struct iovec data = { (char[]){ "STATUS=attacked" }, 15 };
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(struct ucred))];
        } control = { .header = { CMSG_LEN(sizeof(struct ucred)), SOL_SOCKET, SCM_CREDENTIALS } };
        struct msghdr header = { NULL, 0, &data, 1, &control, sizeof(control), 0 };

        memcpy(CMSG_DATA(&control.header), &another, sizeof(another));
        return C(SYS_sendmsg, fd, &header, MSG_NOSIGNAL);
}
ATTACK(speak_to_systemd, speak_as_another(notice))
ATTACK(speak_extended, C(SYS_sendmsg, 0xffffffff00000004UL | (unsigned) notice, NULL, 0))
ATTACK(speak_on_stderr, speak_as_another(STDERR_FILENO))
ATTACK(speak_further_down, C(SYS_fcntl, notice, F_DUPFD_CLOEXEC, 3))
ATTACK(speak_stderr_further_up, C(SYS_fcntl, STDERR_FILENO, F_DUPFD_CLOEXEC, 3))
ATTACK(speak_as_itself, C(SYS_sendto, notice, "STATUS=", 7, MSG_NOSIGNAL, NULL, 0))

#define K(promise, function, processes)                                                                     \
        { promise, #function, .killed = (processes), .run = function }
#define KR(promise, function, field)                                                                        \
        { promise, #function, .killed = CAPD | UPLOADD, .field = BROKERD, .run = function }

const Attack attacks[] = {
        { 2, "many_descriptors", .killed = BROKERD, .refused = CAPD | UPLOADD, .run = many_descriptors },
        { 2, "many_sockets", .killed = CAPD, .refused = UPLOADD | BROKERD, .run = many_sockets },
        K(2, raise_limit, ALL),
        K(2, dup_two, ALL),
        K(2, dup_three, ALL),
        K(3, be_dumpable, ALL),
        K(3, allow_core, ALL),
        K(3, choose_tracer, ALL),
        K(4, get_capability, ALL),
        K(5, inherit_capability, ALL),
        K(5, ambient_capability, ALL),
        K(6, keep_capabilities, ALL),
        K(7, secure_bits, ALL),
        K(8, exec, ALL),
        K(8, exec_descriptor, ALL),
        K(9, do_fork, ALL),
        K(9, do_vfork, ALL),
        K(9, clone_process, ALL),
        K(9, clone_sharing, ALL),
        K(9, clone_thread, ALL),
        KR(9, clone_three, refused),

        K(10, open_file, ALL),
        KR(10, open_at, paths),
        K(10, open_two, ALL),
        KR(10, open_root, paths),
        KR(10, open_victim, paths),
        KR(10, open_processes, paths),
        KR(10, open_own_memory, paths),
        K(10, open_handle, ALL),
        K(10, look_at, ALL),
        K(10, change_directory, ALL),
        K(10, change_root, ALL),
        K(10, watch, ALL),
        K(10, look_extended, CAPD | UPLOADD),
        K(10, read_link, CAPD | UPLOADD),
        KR(10, read_etc, done),

        KR(11, create, paths),
        KR(11, write_file, paths),
        KR(11, write_etc, paths),
        KR(11, remove_file, paths),
        KR(11, move, paths),
        K(11, make_directory, ALL),
        K(11, make_link, ALL),
        K(11, make_hard_link, ALL),
        K(11, make_node, ALL),
        K(11, change_mode, ALL),
        K(11, change_owner, ALL),
        K(11, cut, ALL),
        K(11, set_attribute, ALL),
        K(11, map_given, BROKERD),
        K(11, map_given_validated, BROKERD),

        KR(12, netlink, refused),
        K(12, packet, ALL),
        K(12, vsock, ALL),
        K(12, algorithms, ALL),
        K(12, bluetooth, ALL),
        K(12, family_extended, ALL),
        K(12, inet, CAPD),
        K(12, inet_six, CAPD),
        K(12, unix_stream, CAPD | UPLOADD),
        K(12, unix_datagram, CAPD | UPLOADD),
        K(12, datagram_pair, CAPD | UPLOADD),
        K(12, udp, CAPD | UPLOADD),
        K(12, udp_six, CAPD | UPLOADD),
        K(12, udp_extended, CAPD | UPLOADD),
        { 12, "tcp", .killed = CAPD, .done = UPLOADD | BROKERD, .run = tcp },
        K(12, mptcp, ALL),
        K(12, mptcp_six, ALL),
        K(12, sctp, ALL),
        K(12, seqpacket, ALL),
        K(12, udplite, ALL),
        K(12, ping, ALL),
        K(12, raw, ALL),
        K(12, raw_six, ALL),
        K(13, bind_address, ALL),
        K(13, do_listen, ALL),
        K(13, do_accept, ALL),
        { 14, "connect_ssh", .killed = CAPD, .ports = UPLOADD | BROKERD, .run = connect_ssh },
        { 14, "connect_pinned", .killed = CAPD, .done = UPLOADD | BROKERD, .run = connect_pinned },
        K(14, fastopen, ALL),
        K(14, send_elsewhere, ALL),
        K(14, fastopen_extended, ALL),
        K(14, fastopen_message, ALL),
        K(14, fastopen_messages, ALL),
        K(14, change_transport, ALL),
        K(14, repair, ALL),
        K(14, bind_device, ALL),
        K(14, set_mark, ALL),
        K(14, join_group, ALL),
        { 14, "send_at_once", .killed = CAPD, .done = UPLOADD | BROKERD, .run = send_at_once },
        K(14, connect_any, CAPD),
        { 14, "dial_path", .killed = CAPD, .done = UPLOADD | BROKERD, .run = dial_path },
        { 14, "dial_abstract_stream", .killed = CAPD | UPLOADD, .scopes = BROKERD,
          .run = dial_abstract_stream },
        { 14, "dial_abstract_packets", .killed = CAPD, .scopes = UPLOADD | BROKERD,
          .run = dial_abstract_packets },

        K(15, trace, ALL),
        K(15, be_traced, ALL),
        K(15, read_memory, ALL),
        K(15, write_memory, ALL),
        K(15, take_descriptor, ALL),
        K(15, open_process, ALL),
        K(15, compare, ALL),
        K(15, advise_other, ALL),
        K(16, do_kill, ALL),
        K(16, kill_thread, ALL),
        K(16, kill_other, ALL),
        K(16, kill_descriptor, ALL),
        K(16, queue_signal, ALL),
        K(16, own, ALL),
        K(16, own_extended, ALL),
        K(16, choose_signal, ALL),
        K(16, signal_when_ready, ALL),
        K(16, take_lease, ALL),
        K(16, watch_directory, ALL),
        { 16, "not_to_block", .killed = CAPD, .done = UPLOADD | BROKERD, .run = not_to_block },
        K(17, map_code, ALL),
        K(17, map_code_extended, ALL),
        K(17, map_file_code, ALL),
        K(17, make_code, ALL),
        K(17, make_code_by_key, ALL),
        K(17, attach_memory, ALL),
        K(18, map_given, UPLOADD),
        K(18, map_given_validated, UPLOADD),
        K(18, make_writable, UPLOADD),
        { 18, "read_given", .done = UPLOADD, .run = read_given },

        KR(19, terminal, refused),
        KR(19, inject_input, refused),
        KR(19, terminal_extended, refused),
        KR(19, near_sync, refused),
        KR(19, near_table, refused),
        KR(19, kvm, refused),
        K(20, set_master, CAPD),
        K(20, set_master_extended, CAPD),
        K(20, drop_master, CAPD),
        K(20, set_mode, CAPD),
        K(20, set_mode_extended, CAPD),
        K(20, commit, CAPD),
        K(20, flip, CAPD),
        K(20, set_plane, CAPD),
        K(20, set_property, CAPD),
        K(20, set_cursor, CAPD),
        K(20, set_gamma, CAPD),
        K(20, add_framebuffer, CAPD),
        K(20, mark_dirty, CAPD),
        K(20, create_buffer, CAPD),
        K(20, lease, CAPD),
        K(20, authenticate, CAPD),
        K(20, change_client, CAPD),

        K(21, unshare_user, ALL),
        K(21, enter_namespace, ALL),
        K(21, do_mount, ALL),
        K(21, do_umount, ALL),
        K(21, open_tree, ALL),
        K(21, open_filesystem, ALL),
        K(21, move_mount, ALL),
        K(21, pivot, ALL),
        K(22, add_key, ALL),
        K(22, keyring, ALL),
        K(22, request_key, ALL),
        K(23, bpf, ALL),
        K(23, attach_filter, ALL),
        K(23, attach_bpf, ALL),
        K(23, replace_table, ALL),
        K(23, load_module, ALL),
        K(23, load_module_file, ALL),
        K(23, load_kernel, ALL),
        K(23, perf, ALL),
        K(23, fault_handler, ALL),
        K(24, uring, ALL),
        K(24, uring_enter, ALL),
        K(24, aio, ALL),

        K(25, become_root, ALL),
        K(25, become_group, ALL),
        K(25, become_users, ALL),
        K(25, join_groups, ALL),
        K(25, filesystem_user, ALL),
        K(25, change_filter, ALL),
        K(25, change_filter_old, ALL),
        K(25, change_landlock, ALL),
        K(25, change_personality, ALL),
        K(25, allow_reading_clock, ALL),
        K(26, compat_abi, ALL),
        K(26, other_abi, ALL),
        K(26, unknown_call, ALL),
        K(27, set_clock, ALL),
        K(27, adjust_clock, ALL),
        K(27, set_time, ALL),
        K(27, set_name, ALL),
        K(27, swap_on, ALL),
        K(27, do_reboot, ALL),
        K(27, read_log, ALL),
        K(27, limit_other, ALL),
        K(27, set_priority, ALL),
        K(27, set_scheduler, ALL),
        K(27, ports, ALL),
        K(27, poison_memory, ALL),
        K(27, poison_extended, ALL),
        K(27, offline_memory, ALL),
        { 27, "free_memory", .done = ALL, .run = free_memory },
        { 29, "speak_to_systemd", .killed = CAPD, .refused = UPLOADD | BROKERD, .run = speak_to_systemd },
        K(29, speak_extended, CAPD),
        K(29, speak_on_stderr, CAPD),
        K(29, speak_further_down, CAPD),
        K(29, speak_stderr_further_up, CAPD),
        { 29, "speak_as_itself", .done = ALL, .run = speak_as_itself },
        {},
};
