/* SPDX-License-Identifier: Apache-2.0 */
#include "request-question.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"
#include "request-signed.h"
#include "request-words.h"

#define VALUES_MAX 200U

/* The connection's memory holds some hundred arguments and cookies; at more, libmicrohttpd ends it without a
 * word. */
static bool can_be_held(const char *head) {
        size_t n = 0;

        while ((head = strpbrk(head, "&;,"))) {
                head++;
                n++;
        }
        return n <= VALUES_MAX;
}

static void shape_of(const char *line, char *ret, size_t size) {
        const char *path = line + strcspn(line, " \n");
        FILE *out = fmemopen(ret, size, "w");

        if (!out)
                abort();
        fprintf(out, "%.*s ", (int) (path - line), line);
        for (path += *path == ' '; *path == '/'; path += strcspn(path, "/? \n")) {
                size_t length = strspn(++path, "abcdefghijklmnopqrstuvwxyz-");
                fprintf(out, "/%.*s", strchr("/? \n", path[length]) ? (int) length : 0, path);
        }
        fclose(out);
        ret[size - 1] = '\0';
}

static char *sign(void *userdata, const char *name) {
        return strncmp(name, "signed.", 7) == 0 ? request_signed(userdata, name + 7) : NULL;
}

/* How a request is framed is for us to say; fuzz-request sends what is malformed. */
static bool may_be_sent(const char *line) {
        static const char *const ours[] = { "content-length", "transfer-encoding", "connection", "expect",
                                            "upgrade" };
        size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");

        for (size_t i = 0; i < ELEMENTSOF(ours); i++)
                if (n == strlen(ours[i]) && strncasecmp(line, ours[i], n) == 0)
                        return false;
        return n > 0 && line[n] == ':';
}

/* The first line and the headers, without what ends them. *ret_path, the caller's, is without a query. */
static void write_head(FILE *out, char *head, Question *question, char **ret_path) {
        char *save = NULL, none[] = "";
        bool typed = false;

        for (char *p = head; (p = strchr(p, '\r'));)
                *p = ' ';
        char *line = strtok_r(head, "\n", &save) ?: none, *path = strchr(line, ' ');
        for (char *p = path; p && (p = strpbrk(p + 1, " \t"));)
                *p = '+';
        size_t method = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        question->http = method > 0 && strncmp(line + method, " /", 2) == 0;
        *ret_path = path ? strndup(path + 1, strcspn(path + 1, "?")) : strdup("");
        if (!*ret_path)
                abort();
        fprintf(out, "%s HTTP/1.1\r\nHost: api\r\n", line);
        while ((line = strtok_r(NULL, "\n", &save)))
                if (may_be_sent(line)) {
                        fprintf(out, "%s\r\n", line);
                        typed |= strncasecmp(line, "content-type:", 13) == 0;
                }
        if (!typed)
                fputs("Content-Type: application/json\r\n", out);
}

/* What callers know themselves by. NULL: nobody. */
static const char *token_of(const char *caller) {
        _cleanup_free_ char *name = NULL;

        if (asprintf(&name, "as.%s", caller) < 0)
                abort();
        return words_get(name);
}

void question_make(const char *folder, char *text, size_t size, Question *ret) {
        _cleanup_free_ char *head = NULL, *path = NULL, *body = NULL, *signed_body = NULL;
        char *given = strstr(text, "\n\n"), *rest = text;
        size_t head_size, body_size = 0;
        FILE *out = open_memstream(&ret->text, &ret->size);

        if (!out)
                abort();
        if (given) {
                *given = '\0';
                given += 2;
                body_size = (size_t) (text + size - given);
        }
        ret->caller = strsep(&rest, " ");
        rest = rest ?: text + strlen(text);
        const char *token = token_of(ret->caller);
        if (!token)
                ret->caller = "nobody";
        shape_of(rest, ret->shape, sizeof(ret->shape));
        head = words_expand(rest, strlen(rest), NULL, NULL, &head_size);
        bool held = can_be_held(head);
        write_head(out, head, ret, &path);
        ret->http &= held;
        if (token)
                fprintf(out, "Authorization: Bearer %s\r\n", token);

        body = words_expand(given ?: "", body_size, NULL, NULL, &body_size);
        SignedRequest request = { folder, path, token, body, body_size };
        signed_body = words_expand(body, body_size, sign, &request, &body_size);
        fprintf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", body_size);
        fwrite(signed_body, 1, body_size, out);
        if (fclose(out) != 0)
                abort();
}
