/* SPDX-License-Identifier: Apache-2.0 */

#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* The macros of sd-journal.h would add the location of this file; log.h passes the caller's. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

static const char *log_identifier = "streamsight";
static int log_max_level = LOG_INFO;
static bool log_to_journal = false;
static _Thread_local const char *log_request = NULL;

void log_set_max_level(int level) {
        log_max_level = level;
}

void log_set_request(const char *id) {
        log_request = id;
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

static void log_journal(int level, int error, const char *message_id, const char *file, int line,
                        const char *func, const char *text) {
        char message[2100], priority[32], errno_field[32], code_file[256], code_line[32], code_func[128],
                        identifier[64], id[64], request[64];
        struct iovec fields[9];
        int n = 0;

#define FIELD(buffer, ...)                                                                                  \
        do {                                                                                                \
                int _length = snprintf(buffer, sizeof(buffer), __VA_ARGS__);                                \
                if (_length >= (int) sizeof(buffer))                                                        \
                        _length = sizeof(buffer) - 1;                                                       \
                fields[n++] = (struct iovec){ buffer, (size_t) _length };                                   \
        } while (0)

        FIELD(message, "MESSAGE=%s", text);
        FIELD(priority, "PRIORITY=%i", level);
        FIELD(identifier, "SYSLOG_IDENTIFIER=%s", log_identifier);
        FIELD(code_file, "CODE_FILE=%s", file);
        FIELD(code_line, "CODE_LINE=%i", line);
        FIELD(code_func, "CODE_FUNC=%s", func);
        if (error != 0)
                FIELD(errno_field, "ERRNO=%i", error);
        if (message_id)
                FIELD(id, "MESSAGE_ID=%s", message_id);
        if (log_request)
                FIELD(request, "REQUEST_ID=%s", log_request);
#undef FIELD

        (void) sd_journal_sendv(fields, n);
}

void log_open(const char *identifier) {
        const char *level = getenv("STREAMSIGHT_LOG_LEVEL");

        log_identifier = identifier;
        if (level && level[0] >= '0' && level[0] <= '7' && !level[1])
                log_max_level = level[0] - '0';
        log_to_journal = stderr_is_journal();
        /* The first message opens the journal's socket: whatever the level, before a sandbox forbids it. */
        if (log_to_journal)
                log_journal(LOG_DEBUG, 0, NULL, __FILE__, __LINE__, __func__, "Logging started.");
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

        if (log_to_journal)
                log_journal(level, error, message_id, file, line, func, text);
        else
                fprintf(stderr, "%s: %s%s%s%s\n", log_identifier, text, log_request ? " (request " : "",
                        log_request ?: "", log_request ? ")" : "");

        errno = saved;
        return -error;
}
