/* SPDX-License-Identifier: Apache-2.0 */

#include "settings.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "password.h"

#define WORKERS_DEFAULT 4
#define WORKERS_MAX     64
#define STRING_MAX      1024
#define IDLE_DEFAULT    1800
#define IDLE_MAX        43200 /* as long as a session can last */
#define LOGIN_DEFAULT   2
#define LOGIN_MAX       16

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
                { "Server", "UserWorkers", config_parse_uint, WORKERS_MAX, &settings->user_workers },
                { "Server", "StatusListen", config_parse_string, STRING_MAX, &settings->status_listen },
                { "Database", "ConnectionString", config_parse_string, STRING_MAX, &settings->database },
                { "Admin", "ConnectionString", config_parse_string, STRING_MAX, &settings->admin_database },
                { "Migration", "ConnectionString", config_parse_string, STRING_MAX,
                  &settings->migration_database },
                { "Keys", "MasterKeyFile", config_parse_string, STRING_MAX, &settings->master_key_file },
                { "Sessions", "Redis", config_parse_string, STRING_MAX, &settings->redis },
                { "Sessions", "RedisCAFile", config_parse_string, STRING_MAX, &settings->redis_ca_file },
                { "Sessions", "RedisUser", config_parse_string, 64, &settings->redis_user },
                { "Sessions", "RedisPasswordFile", config_parse_string, STRING_MAX,
                  &settings->redis_password_file },
                { "Sessions", "KeyFile", config_parse_string, STRING_MAX, &settings->session_key_file },
                { "Sessions", "IdleSeconds", config_parse_uint, IDLE_MAX, &settings->idle_seconds },
                { "Login", "PasswordIterations", config_parse_uint, PASSWORD_ITERATIONS_MAX,
                  &settings->password_iterations },
                { "Login", "Workers", config_parse_uint, LOGIN_MAX, &settings->login_workers },
        };
        int r;

        r = config_load(path, items, ELEMENTSOF(items), ret_error);
        if (r < 0)
                return r;
        if (settings->workers == 0)
                settings->workers = WORKERS_DEFAULT;
        if (settings->user_workers == 0)
                settings->user_workers = WORKERS_DEFAULT;
        if (settings->idle_seconds == 0)
                settings->idle_seconds = IDLE_DEFAULT;
        if (settings->login_workers == 0)
                settings->login_workers = LOGIN_DEFAULT;
        if (settings->password_iterations == 0)
                settings->password_iterations = PASSWORD_ITERATIONS_MIN;
        if (settings->password_iterations < PASSWORD_ITERATIONS_MIN)
                return fail(ret_error, -ERANGE, "%s: [Login] PasswordIterations= must be at least %u", path,
                            PASSWORD_ITERATIONS_MIN);
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
        free(settings->status_listen);
        free(settings->database);
        free(settings->admin_database);
        free(settings->migration_database);
        free(settings->master_key_file);
        free(settings->redis);
        free(settings->redis_ca_file);
        free(settings->redis_user);
        free(settings->redis_password_file);
        free(settings->session_key_file);
        *settings = (Settings){};
}

/* Reads a file that must be a secret: a credential, which systemd hands to its service alone, else the file
 * that the administrator named. Returns its size, 0 if there is none. */
static ssize_t read_secret(const char *file, const char *credential, const char *what, void *ret,
                           size_t size, char **ret_error) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (directory && asprintf(&path, "%s/%s", directory, credential) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (path && access(path, F_OK) < 0 && errno == ENOENT) {
                free(path);
                path = NULL;
        }
        if (!path && !file)
                return 0;
        if (!path && !(path = strdup(file)))
                return -ENOMEM;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return fail(ret_error, -errno, "The %s cannot be read from %s: %s", what, path,
                            strerror(errno));
        if (!S_ISREG(st.st_mode) || (st.st_mode & S_IRWXO) != 0)
                return fail(ret_error, -EPERM,
                            "The %s %s must be a file that others cannot read: chmod o= it", what, path);
        ssize_t n = read(fd, ret, size);
        if (n < 0)
                return fail(ret_error, -errno, "The %s cannot be read from %s: %s", what, path,
                            strerror(errno));
        return n > 0 ? n : fail(ret_error, -EINVAL, "The %s %s is empty", what, path);
}

int settings_read_master_keys(const Settings *settings, MasterKeys *ret, char **ret_error) {
        uint8_t keys[MASTER_KEYS_MAX * MASTER_KEY_SIZE + 1];

        ssize_t n = read_secret(settings->master_key_file, "master-key", "master key", keys, sizeof(keys),
                                ret_error);
        if (n == 0)
                return fail(ret_error, -ENOENT,
                            "There is no master key: pass the credential \"master-key\" (systemd's LoadCredential=) or set "
                            "[Keys] MasterKeyFile=");
        if (n < 0 && n != -EINVAL)
                return (int) n;
        if (n == MASTER_KEY_SIZE || n == 2 * MASTER_KEY_SIZE) {
                memcpy(ret->keys, keys, (size_t) n);
                ret->n = (size_t) n / MASTER_KEY_SIZE;
                OPENSSL_cleanse(keys, sizeof(keys));
                return 0;
        }
        OPENSSL_cleanse(keys, sizeof(keys));
        free(*ret_error);
        return fail(ret_error, -EINVAL,
                    "The master key must be exactly 32 random bytes (head -c 32 /dev/urandom makes one), or 64 while it is "
                    "replaced: the new one, then the old one");
}

int settings_read_session_keys(const Settings *settings,
                               uint8_t ret[static SESSION_KEYS_MAX][SESSION_KEY_SIZE], size_t *ret_n,
                               char **ret_error) {
        uint8_t keys[SESSION_KEYS_MAX * SESSION_KEY_SIZE + 1];

        ssize_t n = read_secret(settings->session_key_file, "session-keys", "file of session keys", keys,
                                sizeof(keys), ret_error);
        if (n < 0)
                return (int) n;
        if (n == SESSION_KEY_SIZE || n == 2 * SESSION_KEY_SIZE) {
                memcpy(ret, keys, (size_t) n);
                *ret_n = (size_t) n / SESSION_KEY_SIZE;
                OPENSSL_cleanse(keys, sizeof(keys));
                return 0;
        }
        OPENSSL_cleanse(keys, sizeof(keys));
        return fail(ret_error, -EINVAL,
                    "[Sessions] KeyFile= or the credential \"session-keys\" must have 32 random bytes, or 64 for two keys of "
                    "which the first signs");
}

int settings_read_redis_password(const Settings *settings, char *ret, size_t size, char **ret_error) {
        ssize_t n = read_secret(settings->redis_password_file, "redis-password", "password for Redis", ret,
                                size, ret_error);

        if (n < 0)
                return (int) n;
        if ((size_t) n == size)
                return fail(ret_error, -E2BIG, "The password for Redis has at most %zu bytes", size - 1);
        ret[n] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
        return 0;
}
