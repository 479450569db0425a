/* SPDX-License-Identifier: Apache-2.0 */
#include "frame-plane.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "modifier-name.h"

int frame_problem(FrameProblem *problem, int error, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(problem->text, sizeof(problem->text), format, arguments);
        va_end(arguments);
        return error;
}

int frame_plane_memories(const struct wire_frame *frame, const struct wire_plane *plane,
                         FrameProblem *problem) {
        const PixelFormat *format = pixel_format_find(plane->format);
        enum tiling tiling;

        if (!format || !tiling_of_modifier(plane->modifier, &tiling)) {
                char name[5], modifier[MODIFIER_NAME_MAX];

                problem->format = plane->format;
                problem->modifier = plane->modifier;
                format_name(plane->format, name);
                modifier_name(plane->modifier, modifier, sizeof(modifier));
                return frame_problem(problem, -EOPNOTSUPP, "framebuffer format %s with %s cannot be read",
                                     name, modifier);
        }
        if (plane->n_memory != format->n_memory)
                return frame_problem(problem, -EBADMSG, "a framebuffer in %u parts, where its format has %u",
                                     plane->n_memory, format->n_memory);
        for (unsigned i = 0; i < format->n_memory; i++)
                if (plane->fds[i] >= frame->n_fds)
                        return frame_problem(problem, -EBADMSG, "the plane has no descriptor");
        return format->n_memory;
}

static int check_layout(const struct wire_plane *plane, const MappedMemory *const memories[],
                        SourcePlane *source, FrameProblem *problem) {
        const PixelFormat *format = source->format;
        enum tiling tiling = source->tiling;

        for (unsigned i = 0; i < format->n_memory; i++) {
                uint32_t pitch = plane->pitches[i], offset = plane->offsets[i];
                uint32_t row = pixel_format_row(format, i, plane->width),
                         rows = pixel_format_rows(format, i, plane->height);

                if (pitch < row || pitch % tiling_width(tiling) != 0 ||
                    (tiling != TILING_LINEAR && offset % TILE_BYTES != 0))
                        return frame_problem(problem, -EBADMSG,
                                             "the framebuffer's pitch %u or offset %u is impossible", pitch,
                                             offset);
                /* Cannot overflow: 32 bits times 17, and 32 bits. */
                uint64_t needed = tiling_size(tiling, pitch, rows, row) + offset;
                if (needed > memories[plane->fds[i]]->size)
                        return frame_problem(problem, -EBADMSG,
                                             "the framebuffer needs %" PRIu64 " bytes, its memory has %zu",
                                             needed, memories[plane->fds[i]]->size);
                source->memory[i] = memories[plane->fds[i]]->memory + offset;
                source->pitch[i] = pitch;
        }
        return 0;
}

int frame_plane_check(const struct wire_frame *frame, const struct wire_plane *plane,
                      const MappedMemory *const memories[], const ToneMap *tones, ComposePlane *ret,
                      FrameProblem *problem) {
        const ComposeGeometry geometry = {
                .src_x = plane->src_x,
                .src_y = plane->src_y,
                .src_w = plane->src_w,
                .src_h = plane->src_h,
                .crtc_x = plane->crtc_x,
                .crtc_y = plane->crtc_y,
                .crtc_w = plane->crtc_w,
                .crtc_h = plane->crtc_h,
                .rotation = plane->rotation,
                .width = plane->width,
                .height = plane->height,
                .output_width = frame->width,
                .output_height = frame->height,
        };
        ComposePlane composed = { .source = { .format = pixel_format_find(plane->format), .tones = tones } };
        SourcePlane *source = &composed.source;
        int r, visible;

        (void) tiling_of_modifier(plane->modifier, &source->tiling);
        visible = compose_geometry(&composed, &geometry);
        if (visible < 0)
                return frame_problem(
                                problem, visible,
                                "the plane's place or size is impossible, or more than its framebuffer");
        r = check_layout(plane, memories, source, problem);
        if (r < 0)
                return r;
        if (plane->alpha > UINT16_MAX || plane->blend_mode > WIRE_BLEND_COVERAGE)
                return frame_problem(problem, -EBADMSG, "the plane's blending is impossible");
        if (source->format->yuv_bits > 0 && yuv_to_rgb(&source->yuv, plane->color_encoding,
                                                       plane->color_range, source->format->yuv_bits) < 0)
                return frame_problem(problem, -EBADMSG, "the plane's colours are impossible");

        /* What dma-bufs of graphics memory mostly are; on other memory the loads are ordinary ones. */
        source->write_combined = frame->memory == WIRE_MEMORY_DMABUF;
        composed.alpha = (plane->alpha * 255 + UINT16_MAX / 2) / UINT16_MAX;
        composed.blend = source->format->alpha ? plane->blend_mode : WIRE_BLEND_NONE;
        composed.opaque = composed.alpha == 255 && composed.blend == WIRE_BLEND_NONE;
        source->premultiplied = composed.blend == WIRE_BLEND_PREMULTIPLIED;
        *ret = composed;
        return visible && composed.alpha > 0;
}
