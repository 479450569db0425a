/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <stdbool.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "log.h"

#define AGENT_NAME      "org.streamsight.Agent1"
#define AGENT_PATH      "/org/streamsight/Agent1"
#define AGENT_INTERFACE "org.streamsight.Agent1"
#define BUS_PROPERTIES  "org.freedesktop.DBus.Properties"
#define RETURN_TIMEOUT  UINT64_C(15000000) /* µs: systemd starts a crashed agent again after two seconds */

struct Agent {
        sd_event *event;
        sd_bus *bus;
        sd_bus_slot *asking; /* an answer is awaited … */
        bool again;          /* … and will be old when it comes */
        sd_event_source *gone;
        char *owner; /* of its name, as the bus last said; NULL: nobody */
        AgentView view;
        AgentChanged changed;
        void *userdata;
};

static void view_done(AgentView *view) {
        free(view->recording);
        free(view->company);
        free(view->reason);
}

static int view_init(AgentView *view) {
        *view = (AgentView){ .recording = strdup(""), .company = strdup(""), .reason = strdup("") };
        return view->recording && view->company && view->reason ? 0 : -ENOMEM;
}

static bool view_same(const AgentView *a, const AgentView *b) {
        return a->state == b->state && (a->state == AGENT_IDLE || (strcmp(a->recording, b->recording) == 0 &&
                                                                   strcmp(a->company, b->company) == 0 &&
                                                                   strcmp(a->reason, b->reason) == 0));
}

/* Takes the view over. */
static void agent_take(Agent *agent, AgentView *view) {
        bool same = view_same(&agent->view, view);

        view_done(&agent->view);
        agent->view = *view;
        *view = (AgentView){};
        if (!same)
                agent->changed(&agent->view, agent->userdata);
}

static int read_string(sd_bus_message *message, char **target) {
        const char *value;
        int r = sd_bus_message_read(message, "v", "s", &value);

        if (r < 0)
                return r;
        char *copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        free(*target);
        *target = copy;
        return 0;
}

static int read_view(sd_bus_message *message, AgentView *view) {
        _cleanup_free_ char *state = NULL;
        const char *name;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = sd_bus_message_read(message, "s", &name);
                if (r < 0)
                        return r;
                if (strcmp(name, "State") == 0)
                        r = read_string(message, &state);
                else if (strcmp(name, "Recording") == 0)
                        r = read_string(message, &view->recording);
                else if (strcmp(name, "Company") == 0)
                        r = read_string(message, &view->company);
                else if (strcmp(name, "Reason") == 0)
                        r = read_string(message, &view->reason);
                else if (strcmp(name, "RecordingSince") == 0)
                        r = sd_bus_message_read(message, "v", "t", &view->since);
                else
                        r = sd_bus_message_skip(message, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        if (r < 0)
                return r;
        if (state && strcmp(state, "paused") == 0)
                view->state = AGENT_PAUSED;
        else
                view->state = view->recording[0] ? AGENT_RECORDING : AGENT_IDLE;
        return 0;
}

static void agent_ask(Agent *agent);

/* Anybody may send this connection a signal that looks like another's; the bus alone writes who has sent it.
 */
static bool is_from(sd_bus_message *message, const char *sender) {
        const char *from = sd_bus_message_get_sender(message);

        return sender && from && strcmp(from, sender) == 0;
}

static int agent_set_owner(Agent *agent, const char *owner) {
        char *copy = NULL;

        if (owner && owner[0] && !(copy = strdup(owner)))
                return -ENOMEM;
        free(agent->owner);
        agent->owner = copy;
        return 0;
}

static void agent_is_idle(Agent *agent) {
        AgentView view;

        if (view_init(&view) < 0)
                sd_event_exit(agent->event, log_error_errno(ENOMEM, "Ending: %m"));
        else
                agent_take(agent, &view);
        view_done(&view);
}

static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        Agent *agent = userdata;
        AgentView view;
        int r;

        agent->asking = sd_bus_slot_unref(agent->asking);
        if (agent->again) {
                agent_ask(agent);
                return 0;
        }
        /* If it is not there, its name's owner changes when it is. */
        if (sd_bus_message_is_method_error(message, NULL)) {
                log_debug("The agent does not answer: %s", sd_bus_message_get_error(message)->message);
                return 0;
        }
        r = view_init(&view);
        if (r >= 0)
                r = agent_set_owner(agent, sd_bus_message_get_sender(message));
        if (r >= 0)
                r = read_view(message, &view);
        if (r >= 0) {
                (void) sd_event_source_set_enabled(agent->gone, SD_EVENT_OFF);
                agent_take(agent, &view);
        } else
                log_warning_errno(r, "Cannot read what the agent says: %m");
        view_done(&view);
        return 0;
}

static void agent_ask(Agent *agent) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        agent->again = agent->asking;
        if (agent->asking)
                return;
        r = sd_bus_message_new_method_call(agent->bus, &call, AGENT_NAME, AGENT_PATH, BUS_PROPERTIES,
                                           "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", AGENT_INTERFACE);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0)
                r = sd_bus_call_async(agent->bus, &agent->asking, call, on_properties, agent, 0);
        if (r < 0)
                sd_event_exit(agent->event, log_error_errno(r, "Cannot ask the agent: %m"));
}

/* Whoever says so, the agent is asked. */
static int on_changed(sd_bus_message *message _unused_, void *userdata, sd_bus_error *error _unused_) {
        agent_ask(userdata);
        return 0;
}

/* At its own end the agent says this last, and cannot be asked. */
static int on_stopped(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        Agent *agent = userdata;

        if (is_from(message, agent->owner))
                agent_is_idle(agent);
        agent_ask(agent);
        return 0;
}

static int on_gone(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Agent *agent = userdata;

        agent->view.state = AGENT_LOST;
        agent->changed(&agent->view, agent->userdata);
        return 0;
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *error _unused_) {
        Agent *agent = userdata;
        const char *owner;
        int r;

        if (!is_from(message, "org.freedesktop.DBus"))
                return 0;
        r = sd_bus_message_read(message, "sss", NULL, NULL, &owner);
        if (r >= 0)
                r = agent_set_owner(agent, owner);
        if (r < 0)
                return r;
        if (owner[0]) {
                agent_ask(agent);
                return 0;
        }
        if (agent->view.state != AGENT_RECORDING && agent->view.state != AGENT_PAUSED)
                return 0;
        r = sd_event_source_set_time_relative(agent->gone, RETURN_TIMEOUT);
        return r < 0 ? r : sd_event_source_set_enabled(agent->gone, SD_EVENT_ONESHOT);
}

static int agent_watch(Agent *agent) {
        int r;

        r = sd_bus_match_signal(agent->bus, NULL, AGENT_NAME, AGENT_PATH, BUS_PROPERTIES,
                                "PropertiesChanged", on_changed, agent);
        if (r >= 0)
                r = sd_bus_match_signal(agent->bus, NULL, AGENT_NAME, AGENT_PATH, AGENT_INTERFACE,
                                        "RecordingStopped", on_stopped, agent);
        if (r >= 0)
                r = sd_bus_add_match(
                                agent->bus, NULL,
                                "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                                "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                "arg0='" AGENT_NAME "'",
                                on_owner, agent);
        return r;
}

int agent_new(Agent **ret, sd_event *event, AgentChanged changed, void *userdata) {
        _cleanup_(agent_freep) Agent *agent = calloc(1, sizeof(*agent));
        int r;

        if (!agent)
                return -ENOMEM;
        agent->event = event;
        agent->changed = changed;
        agent->userdata = userdata;
        r = view_init(&agent->view);
        if (r >= 0)
                r = sd_event_add_time(event, &agent->gone, CLOCK_BOOTTIME, UINT64_MAX, 0, on_gone, agent);
        if (r >= 0)
                r = sd_event_source_set_enabled(agent->gone, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_bus_open_system_with_description(&agent->bus, "system");
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(agent->bus, true);
        if (r >= 0)
                r = sd_bus_attach_event(agent->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = agent_watch(agent);
        if (r < 0)
                return r;
        agent_ask(agent);
        *ret = TAKE_PTR(agent);
        return 0;
}

Agent *agent_free(Agent *agent) {
        if (!agent)
                return NULL;
        sd_bus_slot_unref(agent->asking);
        sd_bus_flush_close_unref(agent->bus);
        sd_event_source_disable_unref(agent->gone);
        free(agent->owner);
        view_done(&agent->view);
        free(agent);
        return NULL;
}
