/* SPDX-License-Identifier: Apache-2.0 */

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <termios.h>

#include "client.h"

#define CODE_SIZE 256
/* The control plane's answer is waited for by the service; polkit may ask for a password before. */
#define PATIENCE UINT64_C(180000000)

static void read_line(FILE *file, char *line, size_t size) {
        if (!fgets(line, (int) size, file))
                line[0] = '\0';
        line[strcspn(line, "\r\n")] = '\0';
}

/* From the terminal without echo, as with a password; else from standard input. Never an argument, which
 * others could see in the list of processes and which shells keep. */
static int read_code(char *code, size_t size) {
        struct termios terminal, quiet;
        sigset_t signals, before;

        if (tcgetattr(STDIN_FILENO, &terminal) < 0) {
                read_line(stdin, code, size);
                return code[0] ? 0 : -ENODATA;
        }
        fputs("Enrolment code: ", stderr);
        quiet = terminal;
        quiet.c_lflag &= (tcflag_t) ~ECHO;
        /* A signal must not leave the terminal without echo: it comes after. */
        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGQUIT);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGTSTP);
        sigprocmask(SIG_BLOCK, &signals, &before);
        if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) < 0) {
                sigprocmask(SIG_SETMASK, &before, NULL);
                return -errno;
        }
        read_line(stdin, code, size);
        (void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal);
        sigprocmask(SIG_SETMASK, &before, NULL);
        fputc('\n', stderr);
        return code[0] ? 0 : -ENODATA;
}

int enroll_main(sd_bus *bus) {
        _cleanup_(message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *thumbprint = NULL;
        char code[CODE_SIZE];
        const char *device;
        int r;

        r = read_code(code, sizeof(code));
        if (r < 0) {
                fputs("No enrolment code was given: type it, or pass it on standard input.\n", stderr);
                return -1;
        }
        r = sd_bus_message_new_method_call(bus, &call, AGENT_NAME, AGENT_PATH, AGENT_INTERFACE, "Enroll");
        if (r >= 0)
                r = sd_bus_message_sensitive(call);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", code);
        explicit_bzero(code, sizeof(code));
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(call, true);
        if (r >= 0)
                r = sd_bus_call(bus, call, PATIENCE, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &device);
        if (r < 0) {
                r = client_failed(&error, r);
                sd_bus_error_free(&error);
                return r;
        }
        printf("This computer is enrolled as device %s.\n", device);
        /* Said here, by the device itself, because what the control plane says of keys proves nothing. */
        r = sd_bus_get_property_string(bus, AGENT_NAME, AGENT_PATH, AGENT_INTERFACE, "KeyThumbprint", &error,
                                       &thumbprint);
        if (r < 0) {
                /* It is enrolled, and the code is used up: to say otherwise would make somebody try again.
                 */
                fprintf(stderr, "Its key could not be read (%s): \"streamsight status\" shows it.\n",
                        error.message ?: strerror(-r));
                sd_bus_error_free(&error);
                return 0;
        }
        printf("Its key is %s. Keep this for \"streamsight verify\".\n", thumbprint);
        return 0;
}
