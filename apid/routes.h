/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The API's paths in one table. */

#include "request.h"

/* Finds the route and the values in the path, or answers with 404, 405 or 401 (-EBADMSG). */
int route_request(Request *request, const char *method, const char *path) _must_check_;

/* Lets the handler answer, once it is sure whose session it is: that takes a word with Redis. */
int route_handle(Request *request) _must_check_;

/* Each in turn, then NULL. */
const Route *route_at(size_t i);
