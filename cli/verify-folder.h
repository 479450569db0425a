/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "verify-judge.h"

/* Gives the judge every NAME.sss at or below path with the statement in NAME.sss.jws, and every other .jws.
 * A negative errno: path cannot be walked, as said; or the judge's. */
int verify_folder(Judge *judge, const char *path);
