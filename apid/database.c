/* SPDX-License-Identifier: Apache-2.0 */

#include "database.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "log.h"

#define PARAMETERS_MAX 16U
#define PREPARED_MAX   64U

typedef struct Database {
        PGconn *connection;
        const char *prepared[PREPARED_MAX]; /* functions, which are string constants */
        size_t n_prepared;
} Database;

static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;

static void database_close(Database *database) {
        PQfinish(TAKE_PTR(database->connection));
        database->n_prepared = 0;
}

static void database_free(void *userdata) {
        database_close(userdata);
        free(userdata);
}

static void make_thread_key(void) {
        if (pthread_key_create(&thread_key, database_free) != 0)
                abort();
}

static Database *database_of_thread(void) {
        pthread_once(&thread_key_once, make_thread_key);
        Database *database = pthread_getspecific(thread_key);
        if (!database && (database = calloc(1, sizeof(*database))) &&
            pthread_setspecific(thread_key, database) != 0) {
                free(database);
                return NULL;
        }
        return database;
}

static void ignore_notice(void *userdata _unused_, const PGresult *result _unused_) {}

static int database_connect(Database *database, const char *conninfo) {
        /* The first stands for the administrator's string, the others win over it. */
        static const char *const keywords[] = { "dbname",
                                                "fallback_application_name",
                                                "client_encoding",
                                                "connect_timeout",
                                                "tcp_user_timeout",
                                                "options",
                                                NULL };
        const char *const values[] = { conninfo, "apid", "UTF8", "5", "10000", "-c statement_timeout=10s",
                                       NULL };

        database_close(database);
        database->connection = PQconnectdbParams(keywords, values, 1);
        if (!database->connection)
                return -ENOMEM;
        PQsetNoticeReceiver(database->connection, ignore_notice, NULL);
        if (PQstatus(database->connection) != CONNECTION_OK) {
                log_warning("Connecting to the database failed: %s", PQerrorMessage(database->connection));
                return -ECONNREFUSED;
        }
        /* Row-level security and missing privileges mean nothing to a superuser. */
        const char *superuser = PQparameterStatus(database->connection, "is_superuser");
        if (!superuser || strcmp(superuser, "off") != 0) {
                log_error("[Database] ConnectionString= names a superuser: apid must log in as streamsight_apid");
                return -EPERM;
        }
        return 0;
}

static int database_prepare(Database *database, const char *function, size_t n_parameters) {
        char sql[256];
        int length;

        for (size_t i = 0; i < database->n_prepared; i++)
                if (strcmp(database->prepared[i], function) == 0)
                        return 0;
        if (database->n_prepared == PREPARED_MAX)
                return -ENOBUFS;
        length = snprintf(sql, sizeof(sql), "SELECT * FROM api.%s(", function);
        for (size_t i = 0; i < n_parameters; i++)
                length += snprintf(sql + length, sizeof(sql) - (size_t) length, "%s$%zu", i > 0 ? ", " : "",
                                   i + 1);
        snprintf(sql + length, sizeof(sql) - (size_t) length, ")");

        _cleanup_(PQclearp) PGresult *result = PQprepare(database->connection, function, sql, 0, NULL);
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
                log_error("Preparing api.%s failed: %s", function, PQerrorMessage(database->connection));
                return -EIO;
        }
        database->prepared[database->n_prepared++] = function;
        return 0;
}

/* One try. *ret is set if the server answered at all. */
static int database_try(Database *database, const char *conninfo, const char *function,
                        const char *const *parameters, size_t n_parameters, PGresult **ret) {
        int r;

        if (PQstatus(database->connection) != CONNECTION_OK) {
                r = database_connect(database, conninfo);
                if (r < 0)
                        return r;
        }
        r = database_prepare(database, function, n_parameters);
        if (r < 0)
                return PQstatus(database->connection) == CONNECTION_OK ? r : -ECONNRESET;
        _cleanup_(PQclearp) PGresult *result = PQexecPrepared(database->connection, function,
                                                              (int) n_parameters, parameters, NULL, NULL, 0);
        if (!result || PQstatus(database->connection) != CONNECTION_OK)
                return -ECONNRESET;
        *ret = TAKE_PTR(result);
        return 0;
}

static bool should_retry(const PGresult *result) {
        const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;

        /* serialization_failure, deadlock_detected */
        return state && (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0);
}

int database_call(Request *request, const char *function, const char *const *parameters, size_t n_parameters,
                  PGresult **ret) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        Database *database = database_of_thread();
        int r;

        if (!database || n_parameters > PARAMETERS_MAX)
                return -ENOMEM;
        /* Every procedure may be called again: a connection that the server closed since the last request,
         * as at its restart, costs the caller nothing. */
        const char *conninfo = request->context->settings.database;
        r = database_try(database, conninfo, function, parameters, n_parameters, &result);
        if (r == -ECONNRESET || should_retry(result)) {
                PQclear(TAKE_PTR(result));
                r = database_try(database, conninfo, function, parameters, n_parameters, &result);
        }
        if (r < 0) {
                database_close(database);
                return request_problem(request, PROBLEM_DATABASE_UNAVAILABLE);
        }

        if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
                *ret = TAKE_PTR(result);
                return 0;
        }
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        Problem problem = problem_from_sqlstate(state);
        /* Only the primary message: the others may quote values. */
        if (problem == PROBLEM_INTERNAL)
                log_error("api.%s failed: SQLSTATE %s: %s", function, state ?: "none",
                          PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) ?: "unexpected result");
        return request_problem(request, problem);
}

int database_maintain(const Context *context) {
        _cleanup_(PQclearp) PGresult *result = NULL;
        Database *database = database_of_thread();
        int r;

        if (!database)
                return -ENOMEM;
        r = database_try(database, context->settings.database, "maintain", NULL, 0, &result);
        if (r == -ECONNRESET)
                r = database_try(database, context->settings.database, "maintain", NULL, 0, &result);
        if (r >= 0 && PQresultStatus(result) != PGRES_TUPLES_OK)
                r = log_warning_errno(EIO, "Maintaining the database failed: %s",
                                      PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) ?: "no result");
        /* Not used for an hour: no need to keep it. */
        database_close(database);
        return r;
}

const char *database_text(const PGresult *result, const char *column) {
        int number = PQfnumber(result, column);

        return number < 0 ? "" : PQgetvalue(result, 0, number);
}
