/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* streamsight-verify: whether recordings are what the workstation recorded. Reads segments with their
 * statements from folders or from the bucket, and asks nobody else.
 *
 *   verify.c          the command
 *   verify-judge.h    what is wrong with a set of segments
 *   verify-folder.h   segments from files
 *   verify-bucket.h   segments from an S3 server
 */

#include "cleanup.h"

/* Prints "streamsight verify: …" to stderr: what keeps the command from doing its work. */
void verify_message(const char *format, ...) _printf_(1, 2);
