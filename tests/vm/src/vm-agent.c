/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the host's commands as root in the test machine; the protocol is in vm-port.h.
 *
 * One loop over the port and all running commands. While a command has not taken the input it was sent,
 * nothing more is read from the port: the host is held up rather than the guest's memory filled. */

#include "vm-port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX      16
#define PORT_WAIT_MS      60000
#define EXIT_TIMED_OUT    124
#define EXIT_CANNOT_START 126

enum { FD_INPUT, FD_OUTPUT, FD_ERROR, FD_PROCESS, FDS_PER_COMMAND };

struct command {
        uint32_t channel;
        pid_t pid; /* 0 = this entry is free */
        int fd[FDS_PER_COMMAND];
        int64_t deadline_ms; /* CLOCK_MONOTONIC; 0 = none */
        bool timed_out;
        uint8_t input[VM_PAYLOAD_MAX];
        size_t input_start, input_end;
};

static struct command commands[COMMANDS_MAX];
static int port = -1;

static int64_t now_ms(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void close_fd(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

/* systemd starts us again: the host sees that as a lost channel, never as a wrong answer. */
static void send_or_exit(uint32_t channel, enum vm_frame_type type, const void *payload, size_t length) {
        int r = vm_port_send(port, channel, type, payload, length);
        if (r < 0) {
                fprintf(stderr, "vm-agent: cannot write to the port: %s\n", strerror(-r));
                exit(EXIT_FAILURE);
        }
}

static void send_exit(uint32_t channel, uint32_t status) {
        send_or_exit(channel, VM_FRAME_EXIT, &status, sizeof(status));
}

static struct command *find_command(uint32_t channel) {
        for (size_t i = 0; i < COMMANDS_MAX; i++)
                if (commands[i].pid > 0 && commands[i].channel == channel)
                        return &commands[i];
        return NULL;
}

static struct command *free_command(void) {
        for (size_t i = 0; i < COMMANDS_MAX; i++)
                if (commands[i].pid == 0)
                        return &commands[i];
        return NULL;
}

static _Noreturn void run_child(const int *stdio, const char *shell_command) {
        sigset_t none;

        setsid();
        for (int i = 0; i <= STDERR_FILENO; i++)
                if (dup2(stdio[i], i) < 0)
                        _exit(EXIT_CANNOT_START);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        execl("/bin/bash", "bash", "-c", shell_command, NULL);
        _exit(EXIT_CANNOT_START);
}

static int make_stdio(uint32_t flags, int child[3], int parent[3]) {
        static const bool guest_writes[3] = { false, true, true };

        for (int i = 0; i < 3; i++) {
                int ends[2];

                if (i == STDIN_FILENO && !(flags & VM_EXEC_INPUT)) {
                        child[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
                        if (child[i] < 0)
                                return -errno;
                        continue;
                }
                if (i == STDERR_FILENO && (flags & VM_EXEC_MERGE)) {
                        child[i] = fcntl(child[STDOUT_FILENO], F_DUPFD_CLOEXEC, 3);
                        if (child[i] < 0)
                                return -errno;
                        continue;
                }
                if (pipe2(ends, O_CLOEXEC) < 0)
                        return -errno;
                child[i] = ends[guest_writes[i]];
                parent[i] = ends[!guest_writes[i]];
                if (fcntl(parent[i], F_SETFL, O_NONBLOCK) < 0)
                        return -errno;
        }
        return 0;
}

static int start_command(uint32_t channel, const struct vm_exec *exec, const char *shell_command) {
        int child[3] = { -1, -1, -1 }, parent[3] = { -1, -1, -1 }, r;

        struct command *c = free_command();
        if (!c || find_command(channel))
                return -EBUSY;

        r = make_stdio(exec->flags, child, parent);
        pid_t pid = r < 0 ? -1 : fork();
        if (pid == 0)
                run_child(child, shell_command);
        if (pid < 0) {
                r = r < 0 ? r : -errno;
                for (int i = 0; i < 3; i++)
                        close_fd(&parent[i]);
        } else {
                *c = (struct command){ .channel = channel, .pid = pid };
                memcpy(c->fd, parent, sizeof(parent));
                c->fd[FD_PROCESS] = (int) syscall(SYS_pidfd_open, pid, 0);
                if (exec->timeout_ms > 0)
                        c->deadline_ms = now_ms() + exec->timeout_ms;
        }
        for (int i = 0; i < 3; i++)
                close_fd(&child[i]);
        return r;
}

static void signal_command(const struct command *c, int signal_number) {
        /* before the child's setsid() there is no group yet */
        if (kill(-c->pid, signal_number) < 0)
                kill(c->pid, signal_number);
}

/* True while there may be more. */
static bool forward_output(struct command *c, int which) {
        uint8_t data[VM_PAYLOAD_MAX];

        if (c->fd[which] < 0)
                return false;
        ssize_t n = read(c->fd[which], data, sizeof(data));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        if (n <= 0) {
                close_fd(&c->fd[which]);
                return false;
        }
        send_or_exit(c->channel, which == FD_OUTPUT ? VM_FRAME_OUTPUT : VM_FRAME_ERROR, data, (size_t) n);
        return true;
}

static void forward_input(struct command *c) {
        ssize_t n = write(c->fd[FD_INPUT], c->input + c->input_start, c->input_end - c->input_start);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n < 0) { /* it does not want any: not an error of the channel */
                close_fd(&c->fd[FD_INPUT]);
                c->input_start = c->input_end;
                return;
        }
        c->input_start += (size_t) n;
}

/* What it left in the background may hold the pipes open for ever, so the command's own end counts. */
static void end_command(struct command *c) {
        siginfo_t info = {};

        if (waitid(P_PID, (id_t) c->pid, &info, WEXITED) < 0)
                return;
        for (int which = FD_OUTPUT; which <= FD_ERROR; which++)
                while (forward_output(c, which))
                        ;
        for (int which = 0; which < FDS_PER_COMMAND; which++)
                close_fd(&c->fd[which]);

        int status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
        send_exit(c->channel, (uint32_t) (c->timed_out ? EXIT_TIMED_OUT : status));
        c->pid = 0;
}

static void handle_frame(struct vm_frame *frame) {
        struct command *c = find_command(frame->channel);
        struct vm_exec exec;
        int r;

        switch (frame->type) {
        case VM_FRAME_SYNC:
                send_or_exit(frame->channel, VM_FRAME_SYNC, frame->payload, frame->length);
                break;
        case VM_FRAME_EXEC:
                if (frame->length <= sizeof(exec) || frame->length == VM_PAYLOAD_MAX) {
                        send_exit(frame->channel, EXIT_CANNOT_START);
                        break;
                }
                memcpy(&exec, frame->payload, sizeof(exec));
                frame->payload[frame->length] = '\0';
                r = start_command(frame->channel, &exec, (const char *) frame->payload + sizeof(exec));
                if (r < 0) {
                        const char *why = strerror(-r);
                        send_or_exit(frame->channel, VM_FRAME_OUTPUT, why, strlen(why));
                        send_exit(frame->channel, EXIT_CANNOT_START);
                }
                break;
        case VM_FRAME_INPUT: /* it may be over by now: then its input has no one to go to */
                if (!c || c->fd[FD_INPUT] < 0)
                        break;
                if (frame->length == 0) {
                        close_fd(&c->fd[FD_INPUT]);
                        break;
                }
                memcpy(c->input, frame->payload, frame->length);
                c->input_start = 0;
                c->input_end = frame->length;
                break;
        case VM_FRAME_KILL:
                if (c && frame->length == sizeof(uint32_t)) {
                        uint32_t number;
                        memcpy(&number, frame->payload, sizeof(number));
                        signal_command(c, (int) number);
                }
                break;
        default:
                fprintf(stderr, "vm-agent: frame of unknown type %u\n", frame->type);
                exit(EXIT_FAILURE);
        }
}

static void read_port(void) {
        static struct vm_frame frame;
        static size_t filled;

        int r = vm_port_receive(port, &frame, &filled);
        if (r < 0) {
                fprintf(stderr, "vm-agent: cannot read a frame: %s\n", strerror(-r));
                exit(EXIT_FAILURE);
        }
        if (r > 0) {
                filled = 0;
                handle_frame(&frame);
        }
}

static void enforce_deadline(struct command *c) {
        if (c->pid == 0 || c->deadline_ms == 0 || now_ms() < c->deadline_ms)
                return;
        c->timed_out = true;
        c->deadline_ms = 0;
        signal_command(c, SIGKILL);
}

static void run_once(void) {
        struct pollfd fds[1 + COMMANDS_MAX * FDS_PER_COMMAND];
        bool input_waits = false;
        int timeout_ms = -1;

        for (size_t i = 0; i < COMMANDS_MAX; i++) {
                struct command *c = &commands[i];
                enforce_deadline(c);
                for (int which = 0; which < FDS_PER_COMMAND; which++) {
                        bool pending = c->input_start < c->input_end;
                        bool wanted = c->pid > 0 && (which != FD_INPUT || pending);
                        fds[1 + i * FDS_PER_COMMAND + (size_t) which] = (struct pollfd){
                                .fd = wanted ? c->fd[which] : -1,
                                .events = which == FD_INPUT ? POLLOUT : POLLIN,
                        };
                        input_waits |= c->pid > 0 && which == FD_INPUT && pending;
                }
                if (c->pid > 0 && c->deadline_ms > 0) /* waking twice a second is exact enough */
                        timeout_ms = 500;
        }
        fds[0] = (struct pollfd){ .fd = input_waits ? -1 : port, .events = POLLIN };

        if (poll(fds, sizeof(fds) / sizeof(fds[0]), timeout_ms) < 0)
                return;

        for (size_t i = 0; i < COMMANDS_MAX; i++) {
                const struct pollfd *f = &fds[1 + i * FDS_PER_COMMAND];
                if (f[FD_INPUT].revents)
                        forward_input(&commands[i]);
                for (int which = FD_OUTPUT; which <= FD_ERROR; which++)
                        if (f[which].revents)
                                forward_output(&commands[i], which);
                if (f[FD_PROCESS].revents)
                        end_command(&commands[i]);
        }
        if (fds[0].revents & POLLIN)
                read_port();
        else if (fds[0].revents) /* the host is not connected: POLLHUP is permanent until it is */
                usleep(50 * 1000);
}

int main(void) {
        signal(SIGPIPE, SIG_IGN);
        setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
        setenv("HOME", "/root", 1);
        setenv("LANG", "C.UTF-8", 1);
        setenv("SYSTEMD_PAGER", "", 1);

        port = vm_port_open(PORT_WAIT_MS);
        if (port < 0) {
                fprintf(stderr, "vm-agent: no port named " VM_PORT_NAME ": %s\n", strerror(-port));
                return EXIT_FAILURE;
        }
        for (;;)
                run_once();
}
