/* SPDX-License-Identifier: Apache-2.0 */
#include "row-hash.h"

#include <errno.h>
#include <sys/random.h>

int row_hash_key_init(RowHashKey *key) {
        uint8_t *bytes = (uint8_t *) key;

        for (size_t at = 0; at < sizeof(*key);) {
                ssize_t n = getrandom(bytes + at, sizeof(*key) - at, 0);
                if (n < 0 && errno != EINTR)
                        return -errno;
                at += n > 0 ? (size_t) n : 0;
        }
        return 0;
}
