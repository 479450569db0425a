/* SPDX-License-Identifier: Apache-2.0 */

/* capd with a fault that no test of pictures may overlook. $STREAMSIGHT_FAULT names it:
 *   none    none: apart from its faults this program is capd
 *   kept    the first frame's descriptors are given out ever again, as if a screen stayed in one framebuffer
 *   frozen  a copy of the first frame is given out ever again
 *   black   each frame is a copy in which every byte is 0 */

#include <stdlib.h>
#include <string.h>

#include "capture.h"

static enum { FAULT_NONE, FAULT_KEPT, FAULT_FROZEN, FAULT_BLACK } fault;
static Frame first; /* without planes: there was none yet */

/* ld(1), --wrap */
int __real_capture(const Output *output, uint64_t last_identity, Frame *ret);
int __wrap_capture(const Output *output, uint64_t last_identity, Frame *ret);
int __real_framebuffer_export(const Framebuffer *framebuffer, FrameMemory *memory, struct wire_plane *plane);
int __wrap_framebuffer_export(const Framebuffer *framebuffer, FrameMemory *memory, struct wire_plane *plane);
void __real_frame_memory_close(FrameMemory *memory);
void __wrap_frame_memory_close(FrameMemory *memory);
ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset);

__attribute__((constructor)) static void fault_read(void) {
        static const char *const names[] = { "none", "kept", "frozen", "black" };
        const char *name = getenv("STREAMSIGHT_FAULT") ?: "";

        while (strcmp(name, names[fault]) != 0)
                if (++fault == ELEMENTSOF(names))
                        abort();
}

int __wrap_capture(const Output *output, uint64_t last_identity, Frame *ret) {
        int r;

        if (first.message.n_planes > 0) {
                *ret = first;
                return WIRE_REASON_NONE;
        }
        r = __real_capture(output, last_identity, ret);
        if (r == WIRE_REASON_NONE && (fault == FAULT_KEPT || fault == FAULT_FROZEN))
                first = *ret;
        return r;
}

/* What cannot be exported is copied. */
int __wrap_framebuffer_export(const Framebuffer *framebuffer, FrameMemory *memory,
                              struct wire_plane *plane) {
        if (fault == FAULT_FROZEN || fault == FAULT_BLACK)
                return -EOPNOTSUPP;
        return __real_framebuffer_export(framebuffer, memory, plane);
}

void __wrap_frame_memory_close(FrameMemory *memory) {
        if (first.memory.n == 0 || memory->n == 0 || memory->fds[0] != first.memory.fds[0])
                __real_frame_memory_close(memory);
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset) {
        static const char zeros[65536];

        if (fault != FAULT_BLACK)
                return __real_pwrite64(fd, data, size, offset);
        return __real_pwrite64(fd, zeros, size < sizeof(zeros) ? size : sizeof(zeros), offset);
}
