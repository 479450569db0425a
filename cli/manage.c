/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "client.h"

static int ask(sd_bus *bus, const char *method, sd_bus_message **ret) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = client_ask(bus, method, NULL, 0, ret, &error);

        if (r < 0)
                r = client_failed(&error, r);
        sd_bus_error_free(&error);
        return r;
}

static int malformed(int r) {
        fprintf(stderr, "The agent's answer is not understood: %s\n", strerror(-r));
        return -1;
}

static int unenroll(sd_bus_message *reply) {
        int r, told;

        r = sd_bus_message_read(reply, "b", &told);
        if (r < 0)
                return malformed(r);
        puts("This computer is no longer enrolled.");
        if (!told)
                puts("The control plane could not be told: revoke the device there.");
        return 0;
}

static int rotate_key(sd_bus_message *reply) {
        const char *thumbprint;
        int r;

        r = sd_bus_message_read(reply, "s", &thumbprint);
        if (r < 0)
                return malformed(r);
        printf("This computer's key is now %s. Keep this, and the key before, for \"streamsight verify\".\n",
               thumbprint);
        return 0;
}

static int reload(sd_bus_message *reply) {
        const char *remaining;
        int r;

        r = sd_bus_message_read(reply, "s", &remaining);
        if (r < 0)
                return malformed(r);
        if (remaining[0])
                puts(remaining);
        return 0;
}

static int diagnostics(sd_bus_message *reply) {
        char buffer[4096];
        ssize_t n;
        int r, fd;

        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return malformed(r);
        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                if (fwrite(buffer, 1, (size_t) n, stdout) != (size_t) n)
                        return -1;
        puts("");
        return n < 0 ? malformed(-errno) : 0;
}

static const struct {
        const char *command, *method;
        int (*print)(sd_bus_message *reply);
} commands[] = {
        { "unenroll", "Unenroll", unenroll },
        { "rotate-key", "RotateKey", rotate_key },
        { "reload", "ReloadConfiguration", reload },
        { "diagnostics", "GetDiagnostics", diagnostics },
};

bool manage_knows(const char *command) {
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (strcmp(commands[i].command, command) == 0)
                        return true;
        return false;
}

int manage_main(sd_bus *bus, const char *command) {
        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                _cleanup_(message_unrefp) sd_bus_message *reply = NULL;

                if (strcmp(commands[i].command, command) != 0)
                        continue;
                if (ask(bus, commands[i].method, &reply) < 0)
                        return -1;
                return commands[i].print(reply);
        }
        return -1;
}
