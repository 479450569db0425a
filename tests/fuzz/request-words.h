/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What "$NAME" in a request stands for, so that an input means the same in each run although ids, tokens and
 * codes are others:
 *
 *   $NAME        of a line "NAME VALUE" in the file "words" of the folder that $STREAMSIGHT_FUZZ names
 *   $.NAME       what the last answer with a member of that name said there
 *   $totp.NAME   the authenticator's present code, of which the word NAME is the secret
 *   $signed.KEY  what this request wants to be signed, by the key in KEY.pem: request-signed.h
 *   $long.N      N letters
 *   $deep.N      N arrays in each other
 *   $many.N      N large numbers, each with a comma
 *
 * Any other stays as it is. */

#include <jansson.h>
#include <stddef.h>

/* Once. */
void words_load(const char *folder);

/* The value of a word of the file or an answer; NULL: there is none. */
const char *words_get(const char *name);

/* Those of the file in order; NULL: there are no more. */
const char *words_name(size_t i);

/* The members of an answer, also of objects within it. */
void words_learn(const json_t *answer);
void words_forget(void);

/* Replaces the words of a text. further (may be NULL) is asked for those that are none here, and returns
 * what is the caller's to free, or NULL. The result is the caller's and has a NUL after its *ret_size bytes.
 */
char *words_expand(const char *text, size_t size, char *(*further)(void *userdata, const char *name),
                   void *userdata, size_t *ret_size);
