/* SPDX-License-Identifier: Apache-2.0 */

#include "verify-folder.h"

#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "segment-file.h"
#include "verify.h"

static bool has_suffix(const char *path, const char *suffix) {
        size_t n = strlen(path), m = strlen(suffix);

        return n > m && strcmp(path + n - m, suffix) == 0;
}

/* The one line of a statement's file. -EBADMSG: it is longer than any. */
static int read_statement(const char *path, char ret[static STATEMENT_MAX + 1]) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        char text[STATEMENT_MAX + 2];
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if (st.st_size > STATEMENT_MAX + 1)
                return -EBADMSG;
        ssize_t n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        if (strlen(text) > STATEMENT_MAX)
                return -EBADMSG;
        strcpy(ret, text);
        return 0;
}

static int give_segment(Judge *judge, const char *path) {
        _cleanup_free_ char *statement_path = NULL;
        _cleanup_free_ uint8_t *data = NULL;
        char statement[STATEMENT_MAX + 1];
        size_t size;
        int r;

        r = segment_file_read(path, &data, &size);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                judge_unreadable(judge, path, r == -EFBIG ? "larger than any segment" : strerror(-r));
                return 0;
        }
        if (asprintf(&statement_path, "%s.jws", path) < 0) {
                statement_path = NULL;
                return -ENOMEM;
        }
        r = read_statement(statement_path, statement);
        if (r < 0 && r != -ENOENT && r != -EBADMSG) {
                judge_unreadable(judge, statement_path, strerror(-r));
                return 0;
        }
        return judge_segment(judge, path, data, size, r == -ENOENT ? NULL : r < 0 ? "" : statement);
}

static int give_statement(Judge *judge, const char *path) {
        _cleanup_free_ char *segment = strndup(path, strlen(path) - strlen(".jws"));
        char statement[STATEMENT_MAX + 1];
        int r;

        if (!segment)
                return -ENOMEM;
        if (has_suffix(segment, ".sss") && access(segment, F_OK) == 0)
                return 0; /* its segment's turn */
        r = read_statement(path, statement);
        if (r < 0 && r != -EBADMSG) {
                judge_unreadable(judge, path, strerror(-r));
                return 0;
        }
        return judge_statement(judge, path, r < 0 ? "" : statement);
}

static int by_name(const FTSENT **a, const FTSENT **b) {
        return strcmp((*a)->fts_name, (*b)->fts_name);
}

int verify_folder(Judge *judge, const char *path) {
        char *const paths[] = { (char *) path, NULL };
        FTSENT *entry;
        int r = 0;

        FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, by_name);
        if (!walk)
                return -errno;
        errno = 0;
        while (r >= 0 && (entry = fts_read(walk))) {
                bool segment = has_suffix(entry->fts_name, ".sss"),
                     statement = has_suffix(entry->fts_name, ".jws");

                if (entry->fts_info == FTS_F && segment)
                        r = give_segment(judge, entry->fts_path);
                else if (entry->fts_info == FTS_F && statement)
                        r = give_statement(judge, entry->fts_path);
                else if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR ||
                         entry->fts_info == FTS_DNR) {
                        verify_message("%s: %s", entry->fts_path, strerror(entry->fts_errno));
                        r = -entry->fts_errno;
                } else if (entry->fts_info != FTS_D && entry->fts_info != FTS_DP && (segment || statement))
                        judge_unreadable(judge, entry->fts_path, "not a regular file");
                errno = 0;
        }
        if (r >= 0 && errno != 0)
                r = -errno;
        fts_close(walk);
        return r;
}
