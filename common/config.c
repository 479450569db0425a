/* SPDX-License-Identifier: Apache-2.0 */

#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <ini.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define CONFIG_SIZE_MAX (64U * 1024U)

typedef struct Parse {
        const char *path;
        const ConfigItem *items;
        size_t n_items;
        char *error; /* of the first setting refused: inih goes on to the end of the file */
        int result;
} Parse;

int config_parse_string(const char *value, uint64_t max_length, void *target) {
        char **string = target, *copy = NULL;

        if (strlen(value) > max_length)
                return -ERANGE;
        if (value[0] != '\0' && !(copy = strdup(value)))
                return -ENOMEM;
        free(*string);
        *string = copy;
        return 0;
}

int config_parse_uint(const char *value, uint64_t maximum, void *target) {
        uint64_t number = 0;

        if (value[0] == '\0')
                return -EINVAL;
        for (const char *p = value; *p; p++) {
                if (*p < '0' || *p > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(number, (uint64_t) 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t) (*p - '0'), &number) || number > maximum)
                        return -ERANGE;
        }
        *(uint64_t *) target = number;
        return 0;
}

int config_parse_bool(const char *value, uint64_t unused _unused_, void *target) {
        static const char *const truths[] = { "yes", "true", "on", "1" }, *const lies[] = { "no", "false",
                                                                                            "off", "0" };

        for (size_t i = 0; i < ELEMENTSOF(truths); i++) {
                if (strcasecmp(value, truths[i]) == 0) {
                        *(bool *) target = true;
                        return 0;
                }
                if (strcasecmp(value, lies[i]) == 0) {
                        *(bool *) target = false;
                        return 0;
                }
        }
        return -EINVAL;
}

void config_words_free(char **words) {
        if (!words)
                return;
        for (char **word = words; *word; word++)
                free(*word);
        free(words);
}

int config_parse_words(const char *value, uint64_t max_words, void *target) {
        char ***list = target;
        size_t n = 0;

        if (value[0] == '\0') {
                config_words_free(*list);
                *list = NULL;
                return 0;
        }
        while (*list && (*list)[n])
                n++;
        for (const char *p = value; *(p += strspn(p, " \t"));) {
                size_t length = strcspn(p, " \t");
                if (n >= max_words)
                        return -ERANGE;
                char **larger = realloc(*list, (n + 2) * sizeof(char *));
                if (!larger)
                        return -ENOMEM;
                *list = larger;
                larger[n] = strndup(p, length);
                if (!larger[n])
                        return -ENOMEM;
                larger[++n] = NULL;
                p += length;
        }
        return 0;
}

static int config_handle(void *userdata, const char *section, const char *key, const char *value) {
        Parse *parse = userdata;
        const ConfigItem *item = NULL;

        for (size_t i = 0; i < parse->n_items && !item; i++)
                if (strcmp(parse->items[i].section, section) == 0 && strcmp(parse->items[i].key, key) == 0)
                        item = &parse->items[i];

        int r = item ? item->parse(value ?: "", item->parameter, item->target) : -ENOENT;
        if (r >= 0)
                return 1;
        if (parse->result < 0)
                return 0;

        parse->result = r == -ENOENT ? -EINVAL : r;
        const char *what = r == -ENOENT   ? "is not a known setting"
                           : r == -ERANGE ? "is out of range"
                                          : "has an invalid value";
        if (asprintf(&parse->error, "[%s] %s= %s", section, key, what) < 0)
                parse->error = NULL;
        return 0;
}

/* The whole file as a string; -EINVAL for one with a NUL byte, which would hide what follows it. */
static int config_read(int dir_fd, const char *path, char **ret) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        _cleanup_free_ char *text = NULL;
        struct stat st;
        size_t length = 0;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADF;
        if (!(text = malloc(CONFIG_SIZE_MAX + 1)))
                return -ENOMEM;
        for (;;) {
                ssize_t n = read(fd, text + length, CONFIG_SIZE_MAX + 1 - length);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        break;
                if (n > 0)
                        length += (size_t) n;
                if (length > CONFIG_SIZE_MAX)
                        return -E2BIG;
        }
        text[length] = '\0';
        if (strlen(text) != length)
                return -EINVAL;
        *ret = TAKE_PTR(text);
        return 0;
}

/* inih would cut a longer line in two and read its tail as a setting of its own. */
static int config_check_lines(Parse *parse, const char *text) {
        int line = 1;

        for (const char *p = text; *p; line++) {
                size_t length = strcspn(p, "\n");
                if (length + 2 >= INI_MAX_LINE) {
                        if (asprintf(&parse->error, "%s:%i: line is longer than %i bytes", parse->path, line,
                                     INI_MAX_LINE - 3) < 0)
                                parse->error = NULL;
                        return -ERANGE;
                }
                p += length + (p[length] == '\n');
        }
        return 0;
}

static int config_load_one(Parse *parse, int dir_fd, const char *name, const char *path) {
        _cleanup_free_ char *text = NULL;
        int r;

        parse->path = path;
        r = config_read(dir_fd, name, &text);
        if (r < 0) {
                if (asprintf(&parse->error, "%s: %s", path, strerror(-r)) < 0)
                        parse->error = NULL;
                return r;
        }
        r = config_check_lines(parse, text);
        if (r < 0)
                return r;

        r = ini_parse_string(text, config_handle, parse);
        if (r == 0)
                return 0;
        if (r < 0)
                return -ENOMEM;

        /* The result is the number of the first line refused, by the handler or by inih. */
        _cleanup_free_ char *why = TAKE_PTR(parse->error);
        if (asprintf(&parse->error, "%s:%i: %s", path, r, why ?: "neither [Section] nor Key=value") < 0)
                parse->error = NULL;
        return parse->result < 0 ? parse->result : -EINVAL;
}

static int config_is_drop_in(const struct dirent *entry) {
        size_t length = strlen(entry->d_name);

        return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static int config_load_drop_ins(Parse *parse) {
        _cleanup_free_ char *folder = NULL;
        struct dirent **entries = NULL;
        int r = 0;

        const char *path = parse->path;
        if (asprintf(&folder, "%s.d", path) < 0)
                return -ENOMEM;
        _cleanup_close_ int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return errno == ENOENT ? 0 : -errno;

        int n = scandirat(dir_fd, ".", &entries, config_is_drop_in, alphasort);
        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *name = NULL;
                if (r >= 0)
                        r = asprintf(&name, "%s/%s", folder, entries[i]->d_name) < 0
                                            ? -ENOMEM
                                            : config_load_one(parse, dir_fd, entries[i]->d_name, name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int config_load(const char *path, const ConfigItem *items, size_t n_items, char **ret_error) {
        Parse parse = { .items = items, .n_items = n_items };
        int r;

        r = config_load_one(&parse, AT_FDCWD, path, path);
        if (r >= 0)
                r = config_load_drop_ins(&parse);

        if (r < 0 && ret_error)
                *ret_error = TAKE_PTR(parse.error);
        free(parse.error);
        return r;
}
