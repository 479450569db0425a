/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Segments that are announced at the same moment go to the database together: it spends far more on a
 * transaction and its statements than on a row. While some are being entered, the next ones gather; nobody
 * waits for others who was alone before. */

#include "database.h"

#define ANNOUNCEMENT_PARAMETERS 13U

/* A request of api.offer_signed_segment(), with its parameters. */
typedef struct Announcement Announcement;

struct Announcement {
        Request *request;
        const char *parameters[ANNOUNCEMENT_PARAMETERS];
        PGresult *row; /* its answer; NULL: it was not as usual, and that procedure is to be called */
        Announcement *next;
};

void announcement_free(Announcement *announcement);

typedef struct Announcements Announcements;

/* A thread that enters them and resumes their connections, which are suspended. context must outlive it. */
int announcements_new(Announcements **ret, const Context *context) _must_check_;
void announcements_submit(Announcements *announcements, Announcement *announcement);

/* Enters those that are there and ends the thread: later ones get no row. Then, when none can come, frees.
 */
void announcements_end(Announcements *announcements);
void announcements_free(Announcements *announcements);
