/* SPDX-License-Identifier: Apache-2.0 */

#include "settings.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"

#define WORKERS_DEFAULT 4
#define WORKERS_MAX     64
#define STRING_MAX      1024

static int fail(char **ret_error, int r, const char *format, ...) _printf_(3, 4);

static int fail(char **ret_error, int r, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_error, format, ap) < 0)
                *ret_error = NULL;
        va_end(ap);
        return r;
}

int settings_load(Settings *settings, const char *path, char **ret_error) {
        const ConfigItem items[] = {
                { "Server", "Listen", config_parse_string, STRING_MAX, &settings->listen },
                { "Server", "PublicURL", config_parse_string, STRING_MAX, &settings->public_url },
                { "Server", "Workers", config_parse_uint, WORKERS_MAX, &settings->workers },
                { "Database", "ConnectionString", config_parse_string, STRING_MAX, &settings->database },
                { "Admin", "ConnectionString", config_parse_string, STRING_MAX, &settings->admin_database },
                { "Keys", "MasterKeyFile", config_parse_string, STRING_MAX, &settings->master_key_file },
        };
        int r;

        r = config_load(path, items, ELEMENTSOF(items), ret_error);
        if (r < 0)
                return r;
        if (settings->workers == 0)
                settings->workers = WORKERS_DEFAULT;
        if (settings->public_url) {
                size_t length = strlen(settings->public_url);
                if (strncmp(settings->public_url, "https://", 8) != 0 || length < 9 ||
                    settings->public_url[length - 1] == '/')
                        return fail(ret_error, -EINVAL,
                                    "%s: [Server] PublicURL= must be https://… without a final slash", path);
        }
        return 0;
}

void settings_done(Settings *settings) {
        free(settings->listen);
        free(settings->public_url);
        free(settings->database);
        free(settings->admin_database);
        free(settings->master_key_file);
        *settings = (Settings){};
}

int settings_read_master_key(const Settings *settings, uint8_t ret[static MASTER_KEY_SIZE],
                             char **ret_error) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;
        uint8_t key[MASTER_KEY_SIZE + 1];
        struct stat st;

        if (settings->master_key_file)
                path = strdup(settings->master_key_file);
        else if (!directory)
                return fail(ret_error, -ENOENT,
                            "There is no master key: pass the credential \"master-key\" (systemd's LoadCredential=) or set "
                            "[Keys] MasterKeyFile=");
        else if (asprintf(&path, "%s/master-key", directory) < 0)
                path = NULL;
        if (!path)
                return -ENOMEM;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return fail(ret_error, -errno, "The master key cannot be read from %s: %s", path,
                            strerror(errno));
        if (!S_ISREG(st.st_mode) || (st.st_mode & S_IRWXO) != 0)
                return fail(ret_error, -EPERM,
                            "The master key %s must be a file that others cannot read: chmod o= it", path);
        ssize_t n = read(fd, key, sizeof(key));
        if (n != MASTER_KEY_SIZE) {
                OPENSSL_cleanse(key, sizeof(key));
                return fail(ret_error, -EINVAL,
                            "The master key %s must be exactly 32 random bytes: head -c 32 /dev/urandom makes one",
                            path);
        }
        memcpy(ret, key, MASTER_KEY_SIZE);
        OPENSSL_cleanse(key, sizeof(key));
        return 0;
}
