/* SPDX-License-Identifier: Apache-2.0 */

#include "bus-properties.h"

#include <inttypes.h>
#include <string.h>

#include "policy-sync.h"
#include "recorder.h"
#include "uploadd.h"

static const char *get_recording(const Broker *broker) {
        static char text[SD_ID128_UUID_STRING_MAX];

        return recorder_active(broker->recorder)
                               ? sd_id128_to_uuid_string(recorder_id(broker->recorder), text)
                               : "";
}

static uint64_t get_recording_since(const Broker *broker) {
        return recorder_since(broker->recorder);
}

static const char *get_reason(const Broker *broker) {
        return recorder_reason(broker->recorder);
}

static const char *get_pause_reason(const Broker *broker) {
        return recorder_paused(broker->recorder);
}

static uint64_t get_paused_until(const Broker *broker) {
        return recorder_paused_until(broker->recorder);
}

static const char *get_company(const Broker *broker) {
        const CapturePolicy *policy = policy_sync_get(broker->policy);

        return policy ? policy->company : broker->identity.company ?: "";
}

static const char *get_device_id(const Broker *broker) {
        static char text[SD_ID128_UUID_STRING_MAX];

        return identity_enrolled(&broker->identity) ? sd_id128_to_uuid_string(broker->identity.device, text)
                                                    : "";
}

static const char *get_key_thumbprint(const Broker *broker) {
        return broker->identity.thumbprint;
}

static const char *get_employee(const Broker *broker) {
        const CapturePolicy *policy = policy_sync_get(broker->policy);

        return policy ? policy->employee : "";
}

static uint64_t get_policy_revision(const Broker *broker) {
        const CapturePolicy *policy = policy_sync_get(broker->policy);

        return policy ? policy->revision : 0;
}

static const char *get_bucket_host(const Broker *broker) {
        const CapturePolicy *policy = policy_sync_get(broker->policy);

        return policy ? policy->bucket_host : "";
}

static uint64_t get_spool_segments(const Broker *broker) {
        return uploadd_stats(broker->uploadd)->pending_segments;
}

static uint64_t get_spool_bytes(const Broker *broker) {
        return uploadd_stats(broker->uploadd)->pending_bytes;
}

static uint64_t get_last_upload(const Broker *broker) {
        return broker->status.last_upload;
}

static const char *get_version(const Broker *broker _unused_) {
        return STREAMSIGHT_VERSION;
}

const BusProperty bus_properties[BUS_PROPERTIES] = {
        { "State", "s", status_state, NULL },
        { "Recording", "s", get_recording, NULL },
        { "RecordingSince", "t", NULL, get_recording_since },
        { "Reason", "s", get_reason, NULL },
        { "PauseReason", "s", get_pause_reason, NULL },
        { "PausedUntil", "t", NULL, get_paused_until },
        { "Company", "s", get_company, NULL },
        { "DeviceId", "s", get_device_id, NULL },
        { "KeyThumbprint", "s", get_key_thumbprint, NULL },
        { "Employee", "s", get_employee, NULL },
        { "PolicyRevision", "t", NULL, get_policy_revision },
        { "BucketHost", "s", get_bucket_host, NULL },
        { "Outputs", BUS_OUTPUTS_SIGNATURE, NULL, NULL },
        { "SpoolSegments", "u", NULL, get_spool_segments },
        { "SpoolBytes", "t", NULL, get_spool_bytes },
        { "LastUpload", "t", NULL, get_last_upload },
        { "LastError", "s", status_last_error, NULL },
        { "Version", "s", get_version, NULL },
};

static int append_outputs(sd_bus_message *reply, const Broker *broker) {
        const struct wire_broker_stats *stats = uploadd_stats(broker->uploadd);
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(usuu)");
        for (uint32_t i = 0; r >= 0 && i < stats->n_outputs; i++)
                r = sd_bus_message_append(reply, "(usuu)", stats->outputs[i].id, stats->outputs[i].name,
                                          stats->outputs[i].width, stats->outputs[i].height);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int bus_property_get(sd_bus *bus _unused_, const char *path _unused_, const char *interface _unused_,
                     const char *name, sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_) {
        const Broker *broker = userdata;

        for (size_t i = 0; i < BUS_PROPERTIES; i++) {
                const BusProperty *property = &bus_properties[i];

                if (strcmp(property->name, name) != 0)
                        continue;
                if (property->string)
                        return sd_bus_message_append_basic(reply, 's', property->string(broker));
                if (!property->number)
                        return append_outputs(reply, broker);
                uint64_t number = property->number(broker);
                if (property->signature[0] == 't')
                        return sd_bus_message_append(reply, "t", number);
                return sd_bus_message_append(reply, property->signature, (uint32_t) number);
        }
        return -ENOENT;
}

int bus_property_print(const BusProperty *property, const Broker *broker, char **ret) {
        const struct wire_broker_stats *stats = uploadd_stats(broker->uploadd);
        size_t size;

        if (property->string)
                return (*ret = strdup(property->string(broker))) ? 0 : -ENOMEM;
        if (property->number)
                return asprintf(ret, "%" PRIu64, property->number(broker)) < 0 ? -ENOMEM : 0;

        FILE *file = open_memstream(ret, &size);
        if (!file)
                return -ENOMEM;
        for (uint32_t i = 0; i < stats->n_outputs; i++)
                fprintf(file, "%u %s %u %u\n", stats->outputs[i].id, stats->outputs[i].name,
                        stats->outputs[i].width, stats->outputs[i].height);
        return fclose(file) == 0 ? 0 : -ENOMEM;
}
