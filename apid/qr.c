/* SPDX-License-Identifier: Apache-2.0 */

#include "qr.h"

#include <qrencode.h>
#include <stdbool.h>

#define QUIET 4 /* modules of light around it: ISO/IEC 18004 §6.3.8 */

DEFINE_CLEANUP(QRcode *, QRcode_freep, QRcode_free)

static int encode(const char *text, QRcode **ret) {
        *ret = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
        return *ret ? 0 : errno == ENOMEM ? -ENOMEM : -EINVAL;
}

static bool is_dark(const QRcode *code, int x, int y) {
        return x >= 0 && y >= 0 && x < code->width && y < code->width && code->data[y * code->width + x] & 1;
}

int qr_svg(const char *text, char **ret) {
        _cleanup_(QRcode_freep) QRcode *code = NULL;
        size_t size;
        int r;

        r = encode(text, &code);
        if (r < 0)
                return r;
        FILE *out = open_memstream(ret, &size);
        if (!out)
                return -ENOMEM;
        int side = code->width + 2 * QUIET;
        fprintf(out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %i %i\" shape-rendering=\"crispEdges\">"
                "<rect width=\"%i\" height=\"%i\" fill=\"#fff\"/><path fill=\"#000\" d=\"",
                side, side, side, side);
        for (int y = 0; y < code->width; y++)
                for (int x = 0; x < code->width; x++)
                        if (is_dark(code, x, y))
                                fprintf(out, "M%i %ih1v1h-1z", x + QUIET, y + QUIET);
        fputs("\"/></svg>", out);
        return fclose(out) == 0 ? 0 : -ENOMEM;
}

int qr_terminal(const char *text, char **ret) {
        /* Upper half light, lower half light: most terminals are dark, so light is what is drawn. */
        static const char *const blocks[2][2] = { { "\u2588", "\u2580" }, { "\u2584", " " } };
        _cleanup_(QRcode_freep) QRcode *code = NULL;
        size_t size;
        int r;

        r = encode(text, &code);
        if (r < 0)
                return r;
        FILE *out = open_memstream(ret, &size);
        if (!out)
                return -ENOMEM;
        for (int y = -QUIET; y < code->width + QUIET; y += 2) {
                for (int x = -QUIET; x < code->width + QUIET; x++)
                        fputs(blocks[is_dark(code, x, y)][is_dark(code, x, y + 1)], out);
                fputc('\n', out);
        }
        return fclose(out) == 0 ? 0 : -ENOMEM;
}
