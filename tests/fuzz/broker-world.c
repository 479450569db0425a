/* SPDX-License-Identifier: Apache-2.0 */
#include "broker-world.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <systemd/sd-id128.h>

#include "broker-promises.h"
#include "cleanup.h"
#include "resolver.h"
#include "state-file.h"
#include "wire-pairs.h"

#define FILES_MAX 4U
#define IDS_MAX   1024U
/* As the least that a reader takes of any. */
#define FILE_MAX 65536U

typedef struct File {
        char name[32]; /* "": there is none */
        size_t size;
        uint8_t bytes[FILE_MAX];
} File;

static File files[FILES_MAX], kept[FILES_MAX];
static unsigned n_addresses, delay;
static uint64_t chance;
static uint32_t n_ids;
static bool said[IDS_MAX];

static void files_copy(File *to, const File *from) {
        for (size_t i = 0; i < FILES_MAX; i++) {
                memcpy(to[i].name, from[i].name, sizeof(to[i].name));
                to[i].size = from[i].size;
                memcpy(to[i].bytes, from[i].bytes, from[i].size);
        }
}

void world_keep(void) {
        files_copy(kept, files);
}

void world_begin(void) {
        files_copy(files, kept);
        n_addresses = 1;
        delay = 0;
        chance = n_ids = 0;
        memset(said, 0, sizeof(said));
}

void world_set_addresses(unsigned n, unsigned milliseconds) {
        n_addresses = n % (WIRE_ADDRESSES_MAX + 1);
        delay = milliseconds;
}

/* ------------------------------------------------------------------ state-file.h */

static File *file_find(const char *name) {
        for (size_t i = 0; i < FILES_MAX; i++)
                if (strcmp(files[i].name, name) == 0)
                        return &files[i];
        return NULL;
}

int state_file_write(const char *directory _unused_, const char *name, const void *data, size_t size) {
        File *file = file_find(name) ?: file_find("");

        if (!file || size > FILE_MAX)
                promise_broken("the state directory grows beyond what would be read of it");
        strcpy(file->name, name);
        file->size = size;
        memcpy(file->bytes, data, size);
        return 0;
}

int state_file_read(const char *directory _unused_, const char *name, void *buffer, size_t size,
                    size_t *ret_size) {
        const File *file = file_find(name);

        if (!file)
                return -ENOENT;
        if (file->size > size)
                return -EBADMSG;
        memcpy(buffer, file->bytes, file->size);
        *ret_size = file->size;
        return 0;
}

int state_file_forget(const char *directory _unused_, const char *name) {
        File *file = file_find(name);

        if (file)
                file->name[0] = '\0';
        return 0;
}

int state_file_rename(const char *directory _unused_, const char *name, const char *to) {
        File *file = file_find(name), *old = file_find(to);

        if (!file)
                return -ENOENT;
        if (old)
                old->name[0] = '\0';
        strcpy(file->name, to);
        return 0;
}

/* ------------------------------------------------------------------ resolver.h */

struct Resolve {
        sd_event_source *source;
        ResolveDone done;
        void *userdata;
};

static int on_resolved(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        struct wire_address addresses[WIRE_ADDRESSES_MAX] = {};
        Resolve *resolve = userdata;

        for (unsigned i = 0; i < n_addresses; i++)
                addresses[i] = (struct wire_address){ .family = AF_INET, .address = { 192, 0, 2, 1 } };
        resolve->done(resolve, addresses, n_addresses, n_addresses > 0 ? "" : "it has no address",
                      resolve->userdata);
        return 0;
}

int resolve_new(Resolve **ret, sd_event *event, const char *host _unused_, ResolveDone done,
                void *userdata) {
        Resolve *resolve = calloc(1, sizeof(*resolve));
        int r;

        if (!resolve)
                return -ENOMEM;
        *resolve = (Resolve){ .done = done, .userdata = userdata };
        r = sd_event_add_time_relative(event, &resolve->source, CLOCK_BOOTTIME, delay * UINT64_C(1000), 1,
                                       on_resolved, resolve);
        if (r < 0)
                fuzz_die("a timer");
        *ret = resolve;
        return 0;
}

Resolve *resolve_free(Resolve *resolve) {
        if (!resolve)
                return NULL;
        sd_event_source_disable_unref(resolve->source);
        free(resolve);
        return NULL;
}

/* ------------------------------------------------------------------ chance */

ssize_t getrandom(void *buffer, size_t size, unsigned flags _unused_) {
        for (size_t i = 0; i < size; i++) {
                chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                ((uint8_t *) buffer)[i] = (uint8_t) (chance >> 56);
        }
        return (ssize_t) size;
}

static sd_id128_t id_of(uint32_t number) {
        sd_id128_t id = {};

        memcpy(id.bytes, &number, sizeof(number));
        return id;
}

void world_id_said(const uint8_t id[static 16]) {
        uint32_t number;

        memcpy(&number, id, sizeof(number));
        if (number < IDS_MAX && memcmp(id_of(number).bytes, id, 16) == 0)
                said[number] = true;
}

/* The recordings' ids, so that an input can name them: 1, 2, … */
int sd_id128_randomize(sd_id128_t *ret) {
        do
                n_ids++;
        while (n_ids < IDS_MAX && said[n_ids]);
        *ret = id_of(n_ids);
        return 0;
}
