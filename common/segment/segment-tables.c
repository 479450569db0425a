/* SPDX-License-Identifier: Apache-2.0 */
#include "segment-tables.h"

#include <errno.h>
#include <string.h>

/* Second bytes of the markers, ITU-T T.81 table B.1 */
enum {
        JPEG_SOF0 = 0xc0,
        JPEG_DHT = 0xc4,
        JPEG_RST0 = 0xd0,
        JPEG_SOI = 0xd8,
        JPEG_SOS = 0xda,
        JPEG_DQT = 0xdb,
        JPEG_DRI = 0xdd,
        JPEG_APP0 = 0xe0,
        JPEG_APP15 = 0xef,
        JPEG_COM = 0xfe,
};

typedef struct Markers {
        unsigned n_sof, n_dri, n_sos;
        size_t height_offset;
} Markers;

static uint32_t be16(const uint8_t *p) {
        return (uint32_t) p[0] << 8 | p[1];
}

/* Frame header, B.2.2: precision, height, width, components of (id, sampling, table). */
static const char *check_sof(const uint8_t *p, size_t size) {
        if (size != 15 || p[0] != 8 || p[5] != 3)
                return "the JPEG is not of three components of 8 bits";
        if (be16(p + 3) != SEGMENT_TILE_WIDTH || be16(p + 1) == 0)
                return "the JPEG is not a tile wide";
        if (p[7] != 0x11 || p[10] != 0x11 || p[13] != 0x11)
                return "the JPEG's colour is subsampled";
        return NULL;
}

/* Scan header, B.2.3: components of (id, tables), spectral selection, approximation. */
static const char *check_sos(const uint8_t *p, size_t size) {
        return size == 10 && p[0] == 3 && p[7] == 0 && p[8] == 63 && p[9] == 0
                               ? NULL
                               : "the JPEG is not of one sequential scan";
}

static const char *check_marker(uint8_t marker, const uint8_t *p, size_t size, Markers *markers) {
        switch (marker) {
        case JPEG_SOF0:
                markers->n_sof++;
                return check_sof(p, size);
        case JPEG_DRI:
                markers->n_dri++;
                return size == 2 && be16(p) == SEGMENT_RESTART_INTERVAL
                                       ? NULL
                                       : "the JPEG's restart interval is not one tile";
        case JPEG_SOS:
                markers->n_sos++;
                return check_sos(p, size);
        case JPEG_DHT:
        case JPEG_DQT:
        case JPEG_COM:
        case JPEG_APP0 ... JPEG_APP15:
                return NULL;
        default:
                return "the JPEG header has a marker that does not belong in it";
        }
}

static const char *tables_check(const uint8_t *data, size_t size, Markers *markers) {
        size_t at = 2;

        if (size > SEGMENT_TABLES_MAX)
                return "the JPEG header is too long";
        if (size < 2 || data[0] != 0xff || data[1] != JPEG_SOI)
                return "the JPEG header does not begin with SOI";
        while (markers->n_sos == 0) {
                if (size - at < 4 || data[at] != 0xff)
                        return "the JPEG header is cut short";
                size_t length = be16(data + at + 2);
                if (length < 2 || length > size - at - 2)
                        return "the JPEG header is cut short";
                const char *why = check_marker(data[at + 1], data + at + 4, length - 2, markers);
                if (why)
                        return why;
                if (data[at + 1] == JPEG_SOF0)
                        markers->height_offset = at + 5;
                at += 2 + length;
        }
        if (at != size)
                return "the JPEG header goes on behind SOS";
        if (markers->n_sof != 1 || markers->n_dri != 1)
                return "the JPEG header is without exactly one SOF0 and DRI";
        return NULL;
}

int segment_tables_parse(const uint8_t *data, size_t size, SegmentTables *ret, const char **ret_why) {
        Markers markers = {};
        const char *why = tables_check(data, size, &markers);

        if (why) {
                *ret_why = why;
                return -EBADMSG;
        }
        *ret = (SegmentTables){ data, size, markers.height_offset };
        return 0;
}

int segment_scan_check(const uint8_t *data, size_t size, uint32_t n_tiles) {
        const uint8_t *end = data + size, *p = data;
        uint32_t n_markers = 0;

        while (p < end && (p = memchr(p, 0xff, (size_t) (end - p)))) {
                if (end - p < 2)
                        return -EBADMSG;
                /* 0xff 0x00 is a data byte of 0xff, B.1.1.5. */
                if (p[1] != 0x00) {
                        if (p[1] != JPEG_RST0 + n_markers % 8)
                                return -EBADMSG;
                        n_markers++;
                }
                p += 2;
        }
        return size > 0 && n_markers + 1 == n_tiles ? 0 : -EBADMSG;
}
