/* SPDX-License-Identifier: Apache-2.0 */

#include "log.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "datagram.h"

#define JOURNAL "/run/systemd/journal/socket"

static const char *log_identifier = "streamsight";
static int log_max_level = LOG_INFO;
static int log_journal_fd = -1;
static _Thread_local const char *log_request = NULL;

void log_set_max_level(int level) {
        log_max_level = level;
}

void log_set_request(const char *id) {
        log_request = id;
}

/* What the journal takes at once: its fields one after another. */
typedef struct LogEntry {
        char bytes[4096];
        size_t size;
} LogEntry;

/* A field as name, length and value, which may then hold anything; one that has no room is cut. */
_printf_(3, 4) static void log_field(LogEntry *entry, const char *name, const char *format, ...) {
        char *to = entry->bytes + entry->size;
        size_t head = strlen(name) + 1 + sizeof(uint64_t), room = sizeof(entry->bytes) - entry->size;
        va_list arguments;
        int n;

        if (room < head + 2)
                return;
        va_start(arguments, format);
        n = vsnprintf(to + head, room - head, format, arguments);
        va_end(arguments);
        if (n < 0)
                return;
        size_t length = (size_t) n < room - head ? (size_t) n : room - head - 1;
        const uint64_t le_length = htole64(length);
        memcpy(to, name, head - 1 - sizeof(le_length));
        to[head - 1 - sizeof(le_length)] = '\n';
        memcpy(to + head - sizeof(le_length), &le_length, sizeof(le_length));
        to[head + length] = '\n';
        entry->size += head + length + 1;
}

/* $JOURNAL_STREAM names the device and inode of the journal's stream where systemd connected stderr to it
 * (systemd.exec(5)); only then does the native protocol replace stderr. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == (dev_t) device && st.st_ino == (ino_t) inode;
}

static int log_journal(int level, int error, const char *message_id, const char *file, int line,
                       const char *func, const char *text) {
        LogEntry entry = {};

        log_field(&entry, "MESSAGE", "%s", text);
        log_field(&entry, "PRIORITY", "%i", level);
        log_field(&entry, "SYSLOG_IDENTIFIER", "%s", log_identifier);
        log_field(&entry, "CODE_FILE", "%s", file);
        log_field(&entry, "CODE_LINE", "%i", line);
        log_field(&entry, "CODE_FUNC", "%s", func);
        if (error != 0)
                log_field(&entry, "ERRNO", "%i", error);
        if (message_id)
                log_field(&entry, "MESSAGE_ID", "%s", message_id);
        if (log_request)
                log_field(&entry, "REQUEST_ID", "%s", log_request);
        return datagram_send(log_journal_fd, entry.bytes, entry.size);
}

void log_open(const char *identifier) {
        const char *level = getenv("STREAMSIGHT_LOG_LEVEL");

        log_identifier = identifier;
        if (level && level[0] >= '0' && level[0] <= '7' && !level[1])
                log_max_level = level[0] - '0';
        if (stderr_is_journal())
                log_journal_fd = datagram_connect(JOURNAL);
}

int log_internal(int level, int error, const char *message_id, const char *file, int line, const char *func,
                 const char *format, ...) {
        int saved = errno;
        char text[2048];
        va_list arguments;

        error = abs(error);
        if (level > log_max_level)
                return -error;

        errno = error;
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);

        if (log_journal_fd < 0 || log_journal(level, error, message_id, file, line, func, text) < 0)
                fprintf(stderr, "%s: %s%s%s%s\n", log_identifier, text, log_request ? " (request " : "",
                        log_request ?: "", log_request ? ")" : "");

        errno = saved;
        return -error;
}
