/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include <string.h>

#define BUFFER_FIRST 4096U

int buffer_reserve(Buffer *buffer, size_t more) {
        if (more > buffer->max || buffer->size > buffer->max - more)
                return -EFBIG;
        if (buffer->size + more <= buffer->capacity)
                return 0;

        size_t capacity = buffer->capacity > 0 ? buffer->capacity : BUFFER_FIRST;
        while (capacity < buffer->size + more)
                capacity *= 2;
        uint8_t *larger = realloc(buffer->data, capacity);
        if (!larger)
                return -ENOMEM;
        buffer->data = larger;
        buffer->capacity = capacity;
        return 0;
}

int buffer_append(Buffer *buffer, const void *data, size_t size) {
        int r = buffer_reserve(buffer, size);
        if (r < 0)
                return r;
        if (size > 0)
                memcpy(buffer->data + buffer->size, data, size);
        buffer->size += size;
        return 0;
}

void buffer_done(Buffer *buffer) {
        free(buffer->data);
        *buffer = (Buffer){ .max = buffer->max };
}
