/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one logger. Under systemd a message goes to the journal as structured fields
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL), elsewhere to stderr as one line. Only programs log; the code
 * in common/ returns negative errno values. Nothing secret is ever passed here: no token, key, code or
 * presigned URL. */

#include <stdbool.h>
#include <syslog.h>

#include "cleanup.h"

/* Names the program in each message and opens the channel to the journal, so that a later sandbox need not
 * allow opening it. Call once, first. */
void log_open(const char *identifier);

/* Messages of a higher (less urgent) syslog level are dropped. Default LOG_INFO; the environment variable
 * STREAMSIGHT_LOG_LEVEL (a number, 0 to 7) is read by log_open(). */
void log_set_max_level(int level);

/* What this thread is at, an id that others log too; NULL: nothing. The text must last until the next call.
 */
void log_set_request(const char *id);

int log_internal(int level, int error, const char *message_id, const char *file, int line, const char *func,
                 const char *format, ...) _printf_(7, 8);

/* Logs at a syslog level; error is a positive or negative errno that %m prints (0: none). Evaluates to
 * -|error|, or 0, so that a caller can `return log_error_errno(r, "…: %m");`. */
#define log_full_errno(level, error, ...)                                                                   \
        log_internal(level, error, NULL, __FILE__, __LINE__, __func__, __VA_ARGS__)

/* The same with a MESSAGE_ID (a 128-bit id in hexadecimal), for events that have a catalog entry:
 * packaging/journal/streamsight.catalog and the constants of message-ids.h. */
#define log_event_errno(level, error, message_id, ...)                                                      \
        log_internal(level, error, message_id, __FILE__, __LINE__, __func__, __VA_ARGS__)

#define log_debug(...)   log_full_errno(LOG_DEBUG, 0, __VA_ARGS__)
#define log_info(...)    log_full_errno(LOG_INFO, 0, __VA_ARGS__)
#define log_notice(...)  log_full_errno(LOG_NOTICE, 0, __VA_ARGS__)
#define log_warning(...) log_full_errno(LOG_WARNING, 0, __VA_ARGS__)
#define log_error(...)   log_full_errno(LOG_ERR, 0, __VA_ARGS__)

#define log_debug_errno(error, ...)   log_full_errno(LOG_DEBUG, error, __VA_ARGS__)
#define log_info_errno(error, ...)    log_full_errno(LOG_INFO, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_full_errno(LOG_WARNING, error, __VA_ARGS__)
#define log_error_errno(error, ...)   log_full_errno(LOG_ERR, error, __VA_ARGS__)
