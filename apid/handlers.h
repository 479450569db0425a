/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the routes of routes.c lead to. docs/api.md describes each. */

#include "request.h"

int handle_health(Request *request);

/* devices.c */
int handle_enroll(Request *request);
int handle_device_policy(Request *request);
int handle_device_key(Request *request);
int handle_device_diagnostics(Request *request);
int handle_device_leave(Request *request);

/* assertion.c */
int handle_token(Request *request);

/* recordings.c */
int handle_recording_open(Request *request);
int handle_recording_finish(Request *request);

/* segments.c */
int handle_segment_offer(Request *request);
int handle_segment_complete(Request *request);

/* login.c */
int handle_login(Request *request);
int handle_totp(Request *request);
int handle_session(Request *request);
int handle_logout(Request *request);
int handle_logout_everywhere(Request *request);

/* enrolment.c */
int handle_invitation(Request *request);
int handle_totp_confirm(Request *request);
int handle_password(Request *request);
int handle_recovery_codes(Request *request);

/* management.c: what the route's operation says */
int handle_managed(Request *request);

/* buckets.c */
int handle_bucket(Request *request);

/* viewings.c */
int handle_recordings_list(Request *request);
int handle_segments_list(Request *request);
int handle_segment_url(Request *request);
