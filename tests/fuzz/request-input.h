/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An input of fuzz-request-database: requests, with a form feed after each. Of one the first line is who
 * asks, the method and the path; then come headers, an empty line and the body, all of it with words
 * (request-words.h). What is made of it by mutation is mostly what the API takes, with one thing in it that
 * is another: a value out of bounds, of another kind or of another company, a member that is missing or
 * there twice, another caller, a request left out or repeated. */

#include <stddef.h>

#define REQUESTS_MAX 8U

/* Of the size bytes at data how many are the first request, without its form feed. */
size_t request_input_next(const char *data, size_t size);
