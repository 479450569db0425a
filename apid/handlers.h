/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the routes of routes.c lead to. docs/api.md describes each. */

#include "request.h"

int handle_health(Request *request);

/* devices.c */
int handle_enroll(Request *request);
int handle_device_policy(Request *request);

/* assertion.c */
int handle_token(Request *request);

/* recordings.c */
int handle_recording_open(Request *request);
int handle_recording_finish(Request *request);

/* segments.c */
int handle_segment_offer(Request *request);
int handle_segment_complete(Request *request);

/* viewings.c */
int handle_recordings_list(Request *request);
int handle_segments_list(Request *request);
int handle_segment_url(Request *request);
