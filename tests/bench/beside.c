/* SPDX-License-Identifier: Apache-2.0 */
#include "beside.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <turbojpeg.h>

uint64_t beside_thread_time(void) {
        struct timespec now;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

uint64_t beside_full_frame(const uint32_t *pixels, uint32_t width, uint32_t height, uint32_t quality) {
        static tjhandle handle;
        static unsigned char *jpeg;
        unsigned long size = 0;

        if (!handle) {
                handle = tjInitCompress();
                jpeg = tjAlloc((int) tjBufSize((int) width, (int) height, TJSAMP_444));
        }
        uint64_t start = beside_thread_time();
        if (!handle || !jpeg ||
            tjCompress2(handle, (const unsigned char *) pixels, (int) width, 0, (int) height, TJPF_BGRX,
                        &jpeg, &size, TJSAMP_444, (int) quality, TJFLAG_NOREALLOC) < 0) {
                fprintf(stderr, "TurboJPEG: %s\n", tjGetErrorStr2(handle));
                exit(EXIT_FAILURE);
        }
        return beside_thread_time() - start;
}

#ifdef __x86_64__
__attribute__((target("avx2"), optimize("O3")))
#endif
uint64_t
beside_read(const uint32_t *pixels, size_t n) {
        uint64_t start = beside_thread_time();
        uint32_t sum = 0;

        for (size_t i = 0; i < n; i++)
                sum |= pixels[i];
        __asm__ volatile("" : : "r"(sum));
        return beside_thread_time() - start;
}
