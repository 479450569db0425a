/* SPDX-License-Identifier: Apache-2.0 */

/* Without libFuzzer: runs a target on files, and on some random bytes of each length. */

#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define SIZE_MAX_ (1U << 20)
#define ROUNDS    300U

int main(int argc, char *argv[]) {
        uint8_t *data = malloc(SIZE_MAX_);

        if (!data)
                return EXIT_FAILURE;
        for (int i = 1; i < argc; i++) {
                FILE *file = fopen(argv[i], "re");
                if (!file) {
                        perror(argv[i]);
                        return EXIT_FAILURE;
                }
                (void) LLVMFuzzerTestOneInput(data, fread(data, 1, SIZE_MAX_, file));
                fclose(file);
        }
        for (unsigned round = 0; round < ROUNDS; round++) {
                for (unsigned i = 0; i < round; i++)
                        data[i] = (uint8_t) (rand() >> 7);
                (void) LLVMFuzzerTestOneInput(data, round);
        }
        free(data);
        return EXIT_SUCCESS;
}
