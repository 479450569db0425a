/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The names that code, units, sysusers.d and tmpfiles.d must agree on. */

#define STREAMSIGHT_USER_CAPD    "streamsight-capd"
#define STREAMSIGHT_USER_UPLOADD "streamsight-uploadd"
#define STREAMSIGHT_USER_BROKERD "streamsight-brokerd"

/* SELinux's types of the processes, and of systemd */
#define STREAMSIGHT_DOMAIN_CAPD    "streamsight_capd_t"
#define STREAMSIGHT_DOMAIN_UPLOADD "streamsight_uploadd_t"
#define STREAMSIGHT_DOMAIN_BROKERD "streamsight_brokerd_t"
#define STREAMSIGHT_DOMAIN_INIT    "init_t"

#define STREAMSIGHT_SOCKET_FRAME   "/run/streamsight/frame.sock"
#define STREAMSIGHT_SOCKET_CONTROL "/run/streamsight/control.sock"
#define STREAMSIGHT_SOCKET_BROKER  "/run/streamsight/broker.sock"

/* FileDescriptorName= of the same in the socket units */
#define STREAMSIGHT_FD_FRAME   "frame"
#define STREAMSIGHT_FD_CONTROL "control"
#define STREAMSIGHT_FD_BROKER  "broker"

#define STREAMSIGHT_AGENT_CONFIG "/etc/streamsight/agent.conf"
#define STREAMSIGHT_APID_CONFIG  "/etc/streamsight/apid.conf"
