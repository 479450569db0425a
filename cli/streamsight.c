/* SPDX-License-Identifier: Apache-2.0 */

#include <stdbool.h>
#include <string.h>

#include "client.h"

#define PATIENCE UINT64_C(180000000) /* µs: polkit may ask for a password */

int client_open(sd_bus **ret) {
        int r = sd_bus_open_system(ret);

        if (r < 0)
                fprintf(stderr, "Cannot connect to the system bus: %s\n", strerror(-r));
        return r;
}

int client_failed(const sd_bus_error *error, int r) {
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
            sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                fputs("The StreamSight agent does not run on this computer. See why: journalctl -u "
                      "streamsight-brokerd\n",
                      stderr);
        else
                fprintf(stderr, "%s\n", error->message ?: strerror(-r));
        return -1;
}

int client_ask(sd_bus *bus, const char *method, const char *types, uint32_t value, sd_bus_message **ret,
               sd_bus_error *error) {
        _cleanup_(message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &call, AGENT_NAME, AGENT_PATH, AGENT_INTERFACE, method);
        if (r >= 0 && types)
                r = sd_bus_message_append(call, types, value);
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(call, true);
        return r < 0 ? r : sd_bus_call(bus, call, PATIENCE, error, ret);
}

int client_call(sd_bus *bus, const char *method, const char *types, uint32_t value) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = client_ask(bus, method, types, value, NULL, &error);
        if (r < 0)
                r = client_failed(&error, r);
        sd_bus_error_free(&error);
        return r;
}

static int program_exec(const char *program, char *argv[]) {
        execv(program, argv);
        if (errno == ENOENT)
                fprintf(stderr,
                        "\"streamsight %s\" is in a package of its own that is not installed: "
                        "streamsight-export.\n",
                        argv[0]);
        else
                fprintf(stderr, "Cannot run %s: %s\n", program, strerror(errno));
        return EXIT_FAILURE;
}

static void help(void) {
        puts("streamsight COMMAND\n\n"
             "Shows and changes what the StreamSight agent does on this computer.\n\n"
             "  status [--json]  whether the screen is being recorded, since when, by whose rule\n"
             "  enroll           join the organisation with a code, asked for or from standard input\n"
             "  unenroll         leave the organisation, and forget this computer's key and id\n"
             "  rotate-key       sign with another key from now on\n"
             "  start            start recording, where the policy allows it by hand\n"
             "  stop             stop recording until \"start\" or the next boot\n"
             "  pause [SECONDS]  take no pictures for so long, or for as long as is allowed\n"
             "  resume           end the pause\n"
             "  flush            end the segment and upload everything now\n"
             "  reload           read agent.conf again\n"
             "  diagnostics      print a report of the agent: versions, state, counters, kinds of problem\n"
             "  export …         turn recorded segments into pictures or a video\n"
             "  inspect …        print what recorded segments consist of\n"
             "  verify …         find whether recordings are what the workstation recorded\n"
             "  -h, --help       show this\n"
             "      --version    show the version\n\n"
             "All but status, export, inspect and verify are for administrators. See streamsight(1).");
}

static int usage(const char *what, const char *argument) {
        fprintf(stderr, "%s%s. Try: streamsight --help\n", what, argument);
        return EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
        static const struct {
                const char *command, *method;
        } simple[] = {
                { "start", "Start" }, { "stop", "Stop" }, { "resume", "Resume" }, { "flush", "Flush" }
        };
        const char *command = argc > 1 ? argv[1] : "";
        const char *method = NULL;
        sd_bus *bus = NULL;
        int r = -1;

        if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0 || strcmp(command, "help") == 0) {
                help();
                return EXIT_SUCCESS;
        }
        if (strcmp(command, "--version") == 0) {
                puts("streamsight " STREAMSIGHT_VERSION);
                return EXIT_SUCCESS;
        }
        if (strcmp(command, "export") == 0)
                return program_exec(STREAMSIGHT_LIBEXECDIR "/streamsight-export", argv + 1);
        if (strcmp(command, "inspect") == 0)
                return program_exec(STREAMSIGHT_LIBEXECDIR "/streamsight-inspect", argv + 1);
        if (strcmp(command, "verify") == 0)
                return program_exec(STREAMSIGHT_LIBEXECDIR "/streamsight-verify", argv + 1);

        for (size_t i = 0; i < ELEMENTSOF(simple); i++)
                if (strcmp(simple[i].command, command) == 0)
                        method = simple[i].method;
        bool status = strcmp(command, "status") == 0, enroll = strcmp(command, "enroll") == 0;
        bool pause = strcmp(command, "pause") == 0, manage = manage_knows(command);
        bool json = status && argc == 3 && strcmp(argv[2], "--json") == 0;
        if (!method && !status && !enroll && !pause && !manage)
                return command[0] ? usage("Unknown command: ", command) : usage("No command was given", "");
        if (enroll && argc > 2)
                return usage("The code is not an argument, where others could see it: ",
                             "run \"streamsight enroll\" and type it");
        int most = 2 + (json || pause);
        if (argc > most)
                return usage("Unexpected argument: ", argv[most]);

        if (client_open(&bus) < 0)
                return EXIT_FAILURE;
        r = status   ? status_main(bus, json)
            : enroll ? enroll_main(bus)
            : manage ? manage_main(bus, command)
            : pause  ? pause_main(bus, argv[2])
                     : client_call(bus, method, NULL, 0);
        sd_bus_flush_close_unref(bus);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
