/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the commands of streamsight-admin share: the options, the database, and how results are printed. */

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

DEFINE_CLEANUP(PGresult *, PQclearp, PQclear)

typedef enum Option {
        OPTION_COMPANY,
        OPTION_TTL,
        OPTION_ENDPOINT,
        OPTION_REGION,
        OPTION_BUCKET,
        OPTION_PREFIX,
        OPTION_ACCESS_KEY_ID,
        OPTION_PATH_STYLE,
        OPTION_SSE,
        OPTION_SSE_KMS_KEY_ID,
        OPTION_CA_FILE,
        OPTION_HTTP_PORT,
        OPTION_RECORDING,
        OPTION_FRAMES_PER_SECOND,
        OPTION_JPEG_QUALITY,
        OPTION_SEGMENT_SECONDS,
        OPTION_BYTES_PER_MINUTE,
        OPTION_CPU_MS_PER_SECOND,
        OPTION_PAUSE_SECONDS,
        OPTION_RECORD_LOCKED,
        OPTION_EMAIL,
        OPTION_ROLE,
        OPTION_BEFORE,
        OPTION_KNOWN,
        _OPTION_MAX,
} Option;

typedef struct Admin {
        Settings settings;
        PGconn *connection;
        const char *options[_OPTION_MAX]; /* as given; "" for one without a value; NULL: not given */
        const char *argument;             /* the command's own, or NULL */
        bool json;
} Admin;

/* Each prints what it has to say, errors included, and returns 0 or a negative errno. */
int command_migrate(Admin *admin);
int command_company_create(Admin *admin);
int command_bucket_set(Admin *admin);
int command_bucket_check(Admin *admin);
int command_policy_set(Admin *admin);
int command_enrolment_code_create(Admin *admin);
int command_user_create(Admin *admin);
int command_user_accept(Admin *admin);
int command_user_invite(Admin *admin);
int command_user_disable(Admin *admin);
int command_user_list(Admin *admin);
int command_audit_verify(Admin *admin);
int command_master_key_rotate(Admin *admin);
int command_ledger_detach(Admin *admin);
int command_device_list(Admin *admin);
int command_device_revoke(Admin *admin);
int command_recording_list(Admin *admin);
int command_recording_statement(Admin *admin);

/* Prints "streamsight-admin: …" to stderr and returns -|error|. */
int admin_fail(int error, const char *format, ...) _printf_(2, 3);

/* One statement that returns rows, with text parameters, of which each may be NULL. An error is printed. */
int admin_query(Admin *admin, const char *sql, const char *const *parameters, size_t n_parameters,
                PGresult **ret) _must_check_;

/* Statements without parameters, more than one if need be. */
int admin_execute(Admin *admin, const char *sql) _must_check_;

/* One line of standard input, of at most size - 1 bytes, after a prompt if somebody types it; without echo
 * if hidden. what says what it is, for the error. */
int admin_read_line(const char *what, bool hidden, char *ret, size_t size) _must_check_;

/* For commands that make one thing: its first column alone as text, or the row as a JSON object. */
int admin_print_one(Admin *admin, const PGresult *result);
/* For lists: columns with their names above, or a JSON array of objects. */
int admin_print_table(Admin *admin, const PGresult *result);

/* Prints a problem unless the option's value is a lower-case UUID; or a number from 1 to maximum. */
int admin_check_uuid(const char *what, const char *value) _must_check_;
int admin_check_uint(const char *what, const char *value, uint64_t maximum) _must_check_;
