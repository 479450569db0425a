/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Takes segments one after the other, keeps of each only what it stated, and at the end says for each
 * recording what is wrong with it. No order is expected. Findings go to standard output, a line each:
 * a word (altered, missing, …: docs/evidence.md), the segment's name, and what it is about. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "statement.h"

#define TRUSTED_MAX 256U

/* A device's key. It may sign for that device alone: who has got hold of it is not to make another's
 * recordings with it. */
typedef struct TrustedKey {
        char thumbprint[THUMBPRINT_SIZE];
        char device[37]; /* "": the one that it is first seen to sign for */
} TrustedKey;

typedef struct Judge Judge;

/* trusted: borrowed, and what is not known of them is filled in. -ENOMEM. */
int judge_new(Judge **ret, TrustedKey *trusted, size_t n_trusted);
Judge *judge_free(Judge *judge);
DEFINE_CLEANUP(Judge *, judge_freep, judge_free)

/* A segment: its name, a path whose last parts are those of the object's name in the bucket
 * (…/DEVICE/RECORDING/SEQUENCE-SHA256.sss) as far as they are there; its bytes; its statement, NULL if it
 * has none. Nothing is kept of data. -ENOMEM, -EIO; what is wrong with the segment is no error. */
int judge_segment(Judge *judge, const char *name, const void *data, size_t size, const char *statement);

/* A segment that is listed but cannot be had, and why. */
void judge_unreadable(Judge *judge, const char *name, const char *why);

/* A statement without a segment: of a recording's end, or of a segment that is not there. */
int judge_statement(Judge *judge, const char *name, const char *statement);

/* Says what is wrong with each recording, and which are right. 0: nothing is wrong; 1: something is;
 * -ENODATA: there was no segment at all. Call once. */
int judge_finish(Judge *judge);
