/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The server of broker.sock, with uploadd as its one client. */

#include "broker.h"
#include "wire.h"

/* Finds the socket that systemd passed and the user that may connect. Logs what is wrong. */
int uploadd_new(Uploadd **ret, Broker *broker);
Uploadd *uploadd_free(Uploadd *uploadd);

/* A number that no other connection has, 0: uploadd is not connected. */
uint64_t uploadd_connection(const Uploadd *uploadd);

/* What it told last; all zero while it is not connected. */
const struct wire_broker_stats *uploadd_stats(const Uploadd *uploadd);

/* -ENOTCONN, or -EAGAIN: it does not read, and the connection was given up. */
int uploadd_send_record(Uploadd *uploadd, sd_id128_t recording, const CaptureDecision *decision,
                        enum wire_hold hold);
int uploadd_send_stop(Uploadd *uploadd, sd_id128_t recording);
/* Of the last one connected, or of the one that an earlier life of this process had; 0: none. */
pid_t uploadd_pid(const Uploadd *uploadd);

int uploadd_send_restart(Uploadd *uploadd);
int uploadd_send_hold(Uploadd *uploadd, enum wire_hold hold);
int uploadd_send_flush(Uploadd *uploadd);
int uploadd_send_session(Uploadd *uploadd, const struct wire_broker_session *session);
int uploadd_send_upload(Uploadd *uploadd, const struct wire_broker_upload *upload);
int uploadd_send_release(Uploadd *uploadd, sd_id128_t recording, uint32_t sequence);
