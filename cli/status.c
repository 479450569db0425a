/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "client.h"

/* (usuu): id, connector, width, height */
static int read_outputs(sd_bus_message *message, json_t *list) {
        uint32_t id, width, height;
        const char *name;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "(usuu)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(message, "(usuu)", &id, &name, &width, &height)) > 0)
                json_array_append_new(list, json_pack("{s:i, s:s, s:i, s:i}", "id", (int) id, "name", name,
                                                      "width", (int) width, "height", (int) height));
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* NULL with *ret 0: of a type that this version does not know. */
static int read_value(sd_bus_message *message, json_t **ret) {
        const char *contents, *string;
        uint64_t number;
        uint32_t small;
        int r, boolean;

        *ret = NULL;
        r = sd_bus_message_peek_type(message, NULL, &contents);
        if (r < 0)
                return r;
        if (strcmp(contents, "a(usuu)") != 0 && (strlen(contents) != 1 || !strchr("sbut", contents[0])))
                return sd_bus_message_skip(message, "v");
        r = sd_bus_message_enter_container(message, 'v', contents);
        if (r < 0)
                return r;
        if (contents[0] == 'a') {
                *ret = json_array();
                r = read_outputs(message, *ret);
        } else if (contents[0] == 's') {
                r = sd_bus_message_read(message, "s", &string);
                *ret = r < 0 ? NULL : json_string(string);
        } else if (contents[0] == 'b') {
                r = sd_bus_message_read(message, "b", &boolean);
                *ret = r < 0 ? NULL : json_boolean(boolean);
        } else if (contents[0] == 'u') {
                r = sd_bus_message_read(message, "u", &small);
                *ret = r < 0 ? NULL : json_integer(small);
        } else {
                r = sd_bus_message_read(message, "t", &number);
                *ret = r < 0 ? NULL : json_integer((json_int_t) number);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_properties(sd_bus_message *message, json_t *properties) {
        const char *name;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                json_t *value = NULL;

                r = sd_bus_message_read(message, "s", &name);
                if (r >= 0)
                        r = read_value(message, &value);
                if (value)
                        json_object_set_new(properties, name, value);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
                if (r < 0)
                        return r;
        }
        return r;
}

static const char *text_of(const json_t *properties, const char *name) {
        return json_string_value(json_object_get(properties, name)) ?: "";
}

static void print_time(const char *label, const json_t *value) {
        time_t seconds = (time_t) (json_integer_value(value) / 1000000);
        struct tm tm;
        char text[64];

        if (seconds == 0 || !localtime_r(&seconds, &tm))
                return;
        strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M:%S %Z", &tm);
        printf("%14s: %s\n", label, text);
}

static void print_text(const char *label, const char *text) {
        if (text[0])
                printf("%14s: %s\n", label, text);
}

static const char *explain(const char *state) {
        static const struct {
                const char *state, *text;
        } texts[] = {
                { "unenrolled", "unenrolled: nothing is recorded; see \"streamsight enroll\"" },
                { "idle", "idle: the screen is not being recorded" },
                { "recording", "recording: the screen is being recorded" },
                { "paused", "paused: no pictures of the screen are taken for now" },
                { "offline", "offline: the control plane cannot be reached" },
                { "degraded", "degraded: something stands in the way, see below" },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (strcmp(texts[i].state, state) == 0)
                        return texts[i].text;
        return state;
}

static const char *explain_reason(const char *reason) {
        return strcmp(reason, "policy") == 0   ? "the organisation's policy"
               : strcmp(reason, "manual") == 0 ? "started by an administrator"
                                               : reason;
}

static void print_status(const json_t *p) {
        json_t *output;
        size_t i;

        print_text("State", explain(text_of(p, "State")));
        print_text("Recording", text_of(p, "Recording"));
        print_time("Since", json_object_get(p, "RecordingSince"));
        if (strcmp(text_of(p, "PauseReason"), "locked") == 0)
                print_text("Paused", "while the session is locked");
        print_time("Paused until", json_object_get(p, "PausedUntil"));
        print_text("By", explain_reason(text_of(p, "Reason")));
        json_array_foreach (json_object_get(p, "Outputs"), i, output)
                printf("%14s: %s, %" JSON_INTEGER_FORMAT "×%" JSON_INTEGER_FORMAT "\n",
                       i == 0 ? "Screens" : "", text_of(output, "name"),
                       json_integer_value(json_object_get(output, "width")),
                       json_integer_value(json_object_get(output, "height")));
        print_text("Company", text_of(p, "Company"));
        print_text("Employee", text_of(p, "Employee"));
        print_text("Device", text_of(p, "DeviceId"));
        print_text("Key", text_of(p, "KeyThumbprint"));
        print_text("Bucket", text_of(p, "BucketHost"));
        if (json_integer_value(json_object_get(p, "SpoolSegments")) > 0)
                printf("%14s: %" JSON_INTEGER_FORMAT " segments, %.1f MiB\n", "To upload",
                       json_integer_value(json_object_get(p, "SpoolSegments")),
                       (double) json_integer_value(json_object_get(p, "SpoolBytes")) / 1048576);
        print_time("Last upload", json_object_get(p, "LastUpload"));
        print_text("Error", text_of(p, "LastError"));
}

int status_main(sd_bus *bus, bool json) {
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        json_auto_t *properties = json_object();
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(bus, AGENT_NAME, AGENT_PATH, "org.freedesktop.DBus.Properties", "GetAll",
                               &error, &reply, "s", AGENT_INTERFACE);
        if (r >= 0)
                r = read_properties(reply, properties);
        if (r < 0) {
                r = client_failed(&error, r);
                sd_bus_error_free(&error);
                return r;
        }
        if (json)
                return json_dumpf(properties, stdout, JSON_INDENT(2)) < 0 || puts("") < 0 ? -1 : 0;
        print_status(properties);
        return 0;
}
