/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What values agent.conf may have. brokerd and uploadd both read it, and must refuse the same. */

#define AGENT_TEXT_MAX         160U /* bytes of a URL or a path: a line has 197 at most */
#define AGENT_BUCKET_HOSTS_MAX 64U

#define CAPTURE_FRAMES_PER_SECOND_MAX 100U /* WIRE_GRANT_INTERVAL_MIN */
#define CAPTURE_JPEG_QUALITY_MAX      100U
#define CAPTURE_BYTES_PER_MINUTE_MIN  1000000U
#define CAPTURE_BYTES_PER_MINUTE_MAX  4000000000U
#define CAPTURE_CPU_MS_PER_SECOND_MAX 1000U
#define CAPTURE_PAUSE_SECONDS_MAX     86400U
