/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The device's bearer token, and the assertion it is got with: RFC 7523 §2.2 and §3, RFC 6749 §4.4. */

#include <jansson.h>
#include <stdbool.h>

#include "identity.h"

#define TOKEN_PATH "/v1/devices/token"

typedef struct Token {
        char *value;
        uint64_t renew_at; /* µs of CLOCK_BOOTTIME, which also counts while the machine sleeps */
        char *form;        /* the body of the request for one */
} Token;

bool token_is_good(const Token *token);

/* Signs a new assertion, good for a minute, for the token endpoint at url: fills token->form. */
int token_assertion(Token *token, const Identity *identity, const char *url);

/* The token out of the endpoint's answer. -EBADMSG: there is none. */
int token_take(Token *token, const json_t *json);

void token_forget(Token *token);
