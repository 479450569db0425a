/* SPDX-License-Identifier: Apache-2.0 */

/* Without libFuzzer: runs a target on each file of the folders named, then on inputs that it makes up, the
 * same in every run: by the target's own mutator, or random bytes of each length. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_MAX (1U << 20)
#define ROUNDS    300U

#pragma weak LLVMFuzzerInitialize
#pragma weak LLVMFuzzerCustomMutator

static uint8_t data[INPUT_MAX];

static void fail(const char *what) {
        perror(what);
        exit(EXIT_FAILURE);
}

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t max_size) {
        if (size < max_size && rand() % 2)
                bytes[size++] = (uint8_t) (rand() >> 7);
        for (int n = rand() % 4; n >= 0 && size > 0; n--)
                bytes[(size_t) rand() % size] = (uint8_t) (rand() >> 7);
        return size;
}

/* An input ends where its memory ends, for AddressSanitizer to see what reads on. */
static void run(size_t size) {
        uint8_t *copy = malloc(size);

        if (!copy && size > 0)
                fail("malloc");
        if (size > 0)
                memcpy(copy, data, size);
        (void) LLVMFuzzerTestOneInput(copy, size);
        free(copy);
}

static void run_file(const char *folder, const char *name) {
        char path[4096];

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        FILE *file = fopen(path, "re");
        if (!file)
                fail(path);
        size_t size = fread(data, 1, sizeof(data), file);
        fclose(file);
        run(size);
}

static void run_folder(const char *folder) {
        struct dirent **entries;
        int n = scandir(folder, &entries, NULL, alphasort);

        if (n < 0)
                fail(folder);
        for (int i = 0; i < n; i++) {
                if (entries[i]->d_name[0] != '.')
                        run_file(folder, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
}

static void make_up(void) {
        size_t size = 0;

        for (unsigned round = 0; round < ROUNDS; round++) {
                if (LLVMFuzzerCustomMutator)
                        size = LLVMFuzzerCustomMutator(data, round % 30 ? size : 0, sizeof(data), round);
                else
                        for (size = 0; size < round; size++)
                                data[size] = (uint8_t) (rand() >> 7);
                run(size);
        }
}

int main(int argc, char *argv[]) {
        if (LLVMFuzzerInitialize)
                (void) LLVMFuzzerInitialize(&argc, &argv);
        for (int i = 1; i < argc; i++)
                run_folder(argv[i]);
        make_up();
        return EXIT_SUCCESS;
}
