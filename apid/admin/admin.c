/* SPDX-License-Identifier: Apache-2.0 */

#include "admin.h"

#include <inttypes.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>
#include <termios.h>

#include "value.h"

int admin_fail(int error, const char *format, ...) {
        va_list ap;

        fputs("streamsight-admin: ", stderr);
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        return -abs(error);
}

static int fail_result(Admin *admin, const PGresult *result) {
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)
                                           ?: PQerrorMessage(admin->connection);

        /* undefined_table, invalid_schema_name */
        if (state && (strcmp(state, "42P01") == 0 || strcmp(state, "3F000") == 0))
                return admin_fail(
                                ENOENT,
                                "The database has no schema yet, or an old one: run streamsight-admin migrate");
        if (state && strcmp(state, "55P03") == 0) /* lock_not_available */
                return admin_fail(
                                EBUSY,
                                "Something that goes on, such as a backup, holds a table that is needed: try again when it has ended");
        if (state && strcmp(state, "23505") == 0) /* unique_violation */
                return admin_fail(EEXIST, "There is one like it already: %s", text);
        if (state && strcmp(state, "SS006") == 0)
                return admin_fail(EACCES, "The invitation is wrong, was already used, or has expired");
        if (state && strcmp(state, "23503") == 0) /* foreign_key_violation */
                return admin_fail(ENOENT, "There is no such company");
        if (state && strcmp(state, "23514") == 0) /* check_violation */
                return admin_fail(EINVAL, "A value is out of range or malformed: %s", text);
        return admin_fail(EIO, "The database refused: %s", text);
}

int admin_query(Admin *admin, const char *sql, const char *const *parameters, size_t n_parameters,
                PGresult **ret) {
        _cleanup_(PQclearp) PGresult *result = PQexecParams(admin->connection, sql, (int) n_parameters, NULL,
                                                            parameters, NULL, NULL, 0);

        if (PQresultStatus(result) != PGRES_TUPLES_OK)
                return fail_result(admin, result);
        *ret = TAKE_PTR(result);
        return 0;
}

int admin_execute(Admin *admin, const char *sql) {
        _cleanup_(PQclearp) PGresult *result = PQexec(admin->connection, sql);
        ExecStatusType status = PQresultStatus(result);

        return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : fail_result(admin, result);
}

/* bool, int8, int2, int4 (pg_type.dat) */
static json_t *cell_as_json(const PGresult *result, int row, int column) {
        const char *text = PQgetvalue(result, row, column);

        if (PQgetisnull(result, row, column))
                return json_null();
        switch (PQftype(result, column)) {
        case 16:
                return json_boolean(text[0] == 't');
        case 20:
        case 21:
        case 23:
                return json_integer(strtoll(text, NULL, 10));
        default:
                return json_string(text);
        }
}

static json_t *row_as_json(const PGresult *result, int row) {
        json_t *object = json_object();

        for (int column = 0; object && column < PQnfields(result); column++)
                if (json_object_set_new(object, PQfname(result, column), cell_as_json(result, row, column)) <
                    0) {
                        json_decref(object);
                        return NULL;
                }
        return object;
}

static int print_json(json_t *value) {
        if (!value)
                return admin_fail(ENOMEM, "Out of memory");
        json_dumpf(value, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(value);
        return 0;
}

int admin_print_one(Admin *admin, const PGresult *result) {
        if (admin->json)
                return print_json(row_as_json(result, 0));
        puts(PQgetvalue(result, 0, 0));
        return 0;
}

static void print_cell(const char *text, int width, bool last) {
        printf("%s%*s", text, last ? 0 : width - (int) strlen(text) + 2, "");
}

int admin_print_table(Admin *admin, const PGresult *result) {
        int n_columns = PQnfields(result), n_rows = PQntuples(result);

        if (admin->json) {
                json_t *rows = json_array();
                for (int row = 0; rows && row < n_rows; row++)
                        if (json_array_append_new(rows, row_as_json(result, row)) < 0)
                                return admin_fail(ENOMEM, "Out of memory");
                return print_json(rows);
        }
        for (int row = -1; row < n_rows; row++) {
                for (int column = 0; column < n_columns; column++) {
                        int width = (int) strlen(PQfname(result, column));
                        for (int i = 0; i < n_rows; i++)
                                width = PQgetlength(result, i, column) > width
                                                        ? PQgetlength(result, i, column)
                                                        : width;
                        print_cell(row < 0 ? PQfname(result, column) : PQgetvalue(result, row, column),
                                   width, column == n_columns - 1);
                }
                putchar('\n');
        }
        return 0;
}

int admin_check_uuid(const char *what, const char *value) {
        return value_is_uuid(value) ? 0
                                    : admin_fail(EINVAL, "%s must be a UUID in lower case, not \"%s\"", what,
                                                 value);
}

int admin_check_uint(const char *what, const char *value, uint64_t maximum) {
        uint64_t number;

        if (value_parse_uint(value, maximum, &number) < 0 || number == 0)
                return admin_fail(EINVAL, "%s must be a number from 1 to %" PRIu64 ", not \"%s\"", what,
                                  maximum, value);
        return 0;
}

int admin_read_line(const char *what, bool hidden, char *ret, size_t size) {
        struct termios before, silent;
        bool typed = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
        char line[2048];

        if (typed)
                fprintf(stderr, "%s: ", what);
        if (typed && hidden) {
                silent = before;
                silent.c_lflag &= ~(tcflag_t) ECHO;
                tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        }
        bool got = fgets(line, sizeof(line), stdin);
        if (typed && hidden) {
                tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
                fputc('\n', stderr);
        }
        if (got)
                line[strcspn(line, "\n")] = '\0';
        bool good = got && value_is_text(line, size - 1);
        if (good)
                strcpy(ret, line);
        OPENSSL_cleanse(line, sizeof(line));
        return good ? 0
                    : admin_fail(EINVAL, "%s must be one line of 1 to %zu bytes on standard input", what,
                                 size - 1);
}
