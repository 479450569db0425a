/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One HTTP request on its way through a handler: what it asks, checked, and the one answer that it gets. */

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"
#include "problem.h"
#include "redis.h"
#include "settings.h"

#define REQUEST_BODY_MAX 65536U

/* What all requests share; constant while the server runs. */
typedef struct Context {
        Settings settings;
        MasterKeys master_keys;
        uint8_t session_keys[SESSION_KEYS_MAX][SESSION_KEY_SIZE]; /* the first signs */
        size_t n_session_keys;                                    /* 0: nobody can log in */
        RedisServer redis;
} Context;

typedef struct Request Request;

/* Answers the request. What it returns is what request_…() returned: 0, or a negative errno. If a request
 * was answered with a problem that is -EBADMSG, so that a handler can simply return it; any other error
 * without an answer becomes a 500, and is logged. -EINPROGRESS: request->announcement is to be entered, and
 * the handler to be called once more after that. */
typedef int (*Handler)(Request *request);

typedef enum Auth {
        AUTH_NONE,
        AUTH_PAGE,  /* none, but no other site's page may ask */
        AUTH_TOKEN, /* a device's bearer token must be there; the procedure called with it decides what it is
                       worth */
        AUTH_USER,  /* a session; likewise */
} Auth;

typedef struct Route {
        const char *method;
        const char *path; /* {uuid} and {number} match a value of that kind */
        Auth auth;
        Handler handler;
        const struct Operation *operation; /* for handle_managed() */
        bool slow;                         /* hashes a password: on the workers for that, see server.c */
} Route;

#define ROUTE_VALUES_MAX 2U

struct Request {
        const Context *context;
        struct MHD_Connection *connection;
        const Route *route;
        char id[33];                    /* what the gateway calls it; "": nothing */
        char *values[ROUTE_VALUES_MAX]; /* what {…} stood for, in order */
        const char *token;              /* of the device or session; must not be logged */
        const char *account;            /* AUTH_USER: id */
        char *body;                     /* with a NUL after body_size bytes */
        size_t body_size, body_allocated;
        bool body_too_large;
        size_t discarded; /* bytes of a body that is not wanted */
        char *token_copy;
        json_t *json; /* the body, once read */
        char *kept[24];
        size_t n_kept;
        struct MHD_Response *response;
        unsigned status;
        bool handled; /* by workers, with result */
        int result;
        struct Announcement *announcement; /* segments.c */
        long long started_us;              /* when it was there as a whole; 0: it was not */
};

typedef enum FieldType {
        FIELD_TEXT,   /* string: at most .maximum bytes */
        FIELD_WORD,   /* string: one of .words, separated by spaces */
        FIELD_UINT,   /* integer: .minimum to .maximum */
        FIELD_UUID,   /* string */
        FIELD_SHA256, /* string: 64 hexadecimal digits; as parameter bytea */
        FIELD_MD5,    /* string: base64; as parameter bytea */
        FIELD_TIME,   /* string: RFC 3339, UTC */
        FIELD_BOOL,
} FieldType;

typedef struct Field {
        const char *name;
        FieldType type;
        bool optional;  /* null will do, and in a query string absence */
        bool omittable; /* so will absence in a body */
        uint64_t minimum, maximum;
        const char *words;
        /* filled in, the request's own; NULL if null or absent */
        const char *text;      /* as sent */
        const char *parameter; /* as PostgreSQL takes it */
        uint64_t number;       /* FIELD_UINT */
} Field;

/* Reads members of the JSON body, or values of the query string (where all are optional). */
int request_read_fields(Request *request, Field *fields, size_t n_fields) _must_check_;
int request_read_query(Request *request, Field *fields, size_t n_fields) _must_check_;

/* Reads the body as one JSON object into request->json. */
int request_read_json(Request *request) _must_check_;

/* A value of an application/x-www-form-urlencoded body, decoded, the request's own. NULL: absent, there
 * twice, or malformed. */
const char *request_form_value(Request *request, const char *name);

/* True if the Content-Type is type, whatever its parameters. */
bool request_has_type(Request *request, const char *type);

/* The client's address as the gateway saw it, or NULL. */
const char *request_client_address(Request *request);

/* Lets the request own text, which may be NULL; returns it. NULL: out of memory, text was freed. */
char *request_keep(Request *request, char *text);

/* Answers. reply_json takes the reference to body (NULL: out of memory, an error); reply_text copies. */
int request_reply_json(Request *request, unsigned status, json_t *body);
int request_reply_text(Request *request, unsigned status, const char *json);
int request_reply_empty(Request *request, unsigned status);
int request_add_header(Request *request, const char *name, const char *value) _must_check_;

/* Answers with a problem; format (NULL: the table's) is its detail, and extra (a reference, may be NULL) has
 * further members. Returns -EBADMSG. */
int request_problem_full(Request *request, Problem problem, json_t *extra, const char *format, ...)
                _printf_(4, 5);
#define request_problem(request, problem) request_problem_full(request, problem, NULL, NULL)
#define request_problem_detail(request, problem, ...)                                                       \
        request_problem_full(request, problem, NULL, __VA_ARGS__)

void request_free(Request *request);
