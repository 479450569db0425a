/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a configuration file. */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(config_words_freep) char **words = NULL;
        _cleanup_free_ char *string = NULL, *error = NULL;
        uint64_t number = 0;
        bool flag = false;
        const ConfigItem items[] = {
                { "ControlPlane", "URL", config_parse_string, 64, &string },
                { "Bucket", "Hosts", config_parse_words, 4, &words },
                { "Capture", "MaxFramesPerSecond", config_parse_uint, 100, &number },
                { "Capture", "Flag", config_parse_bool, 0, &flag },
        };
        char path[64];
        int fd = memfd_create("agent.conf", MFD_CLOEXEC);

        if (fd < 0 || write(fd, data, size) != (ssize_t) size)
                abort();
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        (void) config_load(path, items, ELEMENTSOF(items), &error);
        close(fd);
        if (number > 100 || (string && strlen(string) > 64))
                abort();
        return 0;
}
