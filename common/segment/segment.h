/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The segment, `.sss`: how a recording is kept. docs/segment-format.md is the description; this header has
 * its numbers, and the contents of each chunk as the writer takes and the reader gives them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_VERSION 1U

#define SEGMENT_SIGNATURE      "\x89SSS\r\n\x1a\n"
#define SEGMENT_SIGNATURE_SIZE 8U

/* Bounds that hold for every segment; a reader refuses what is outside. */
#define SEGMENT_SIZE_MAX       (16U << 20) /* bytes of a whole segment, so of a chunk too */
#define SEGMENT_SIDE_MAX       16384U      /* pixels of a picture's width or height … */
#define SEGMENT_PIXELS_MAX     (1U << 26)  /* … and of its area */
#define SEGMENT_OUTPUT_MAX     64U         /* output ids are below it */
#define SEGMENT_TABLES_MAX     4096U       /* bytes of JTAB */
#define SEGMENT_OPERATIONS_MAX 4096U       /* of one frame */
#define SEGMENT_MOVES_MAX      256U        /* of one frame; together at most twice the picture's area */
#define SEGMENT_INDEX_MAX      65536U      /* entries of INDX */
#define SEGMENT_CURSORS_MAX    64U         /* ids of cursor images are below it */
#define SEGMENT_CURSOR_SIDE    256U        /* pixels of a cursor image's width or height at most */
#define SEGMENT_TIME_MAX       ((UINT64_C(1) << 53) - 1) /* µs; exact as a JavaScript number */

#define SEGMENT_TILE_WIDTH  64U
#define SEGMENT_TILE_HEIGHT 8U
/* Of one NEW operation: 65,500 is the height that libjpeg accepts, in whole tiles. */
#define SEGMENT_TILES_MAX (65500U / SEGMENT_TILE_HEIGHT)
/* Of a whole picture: SEGMENT_PIXELS_MAX in tiles, with what hangs over at two edges. */
#define SEGMENT_PICTURE_TILES_MAX                                                                           \
        (SEGMENT_PIXELS_MAX / (SEGMENT_TILE_WIDTH * SEGMENT_TILE_HEIGHT) +                                  \
         SEGMENT_SIDE_MAX / SEGMENT_TILE_WIDTH + SEGMENT_SIDE_MAX / SEGMENT_TILE_HEIGHT + 1U)
/* NEW tiles of an output that REF may still name: those before are forgotten. */
#define SEGMENT_DICTIONARY_TILES 32768U
/* MCUs of 8 × 8 pixels (4:4:4) in a tile: the restart interval. */
#define SEGMENT_RESTART_INTERVAL (SEGMENT_TILE_WIDTH / 8U)

#define SEGMENT_FOURCC(a, b, c, d)                                                                          \
        ((uint32_t) (a) | (uint32_t) (b) << 8 | (uint32_t) (c) << 16 | (uint32_t) (d) << 24)

enum {
        SEGMENT_HEAD = SEGMENT_FOURCC('H', 'E', 'A', 'D'),
        SEGMENT_OUTP = SEGMENT_FOURCC('O', 'U', 'T', 'P'),
        SEGMENT_JTAB = SEGMENT_FOURCC('J', 'T', 'A', 'B'),
        SEGMENT_JCOA = SEGMENT_FOURCC('J', 'C', 'O', 'A'),
        SEGMENT_FRAM = SEGMENT_FOURCC('F', 'R', 'A', 'M'),
        SEGMENT_GAP = SEGMENT_FOURCC('G', 'A', 'P', '_'),
        SEGMENT_INDX = SEGMENT_FOURCC('I', 'N', 'D', 'X'),
        SEGMENT_CIMG = SEGMENT_FOURCC('c', 'I', 'M', 'G'),
        SEGMENT_CPOS = SEGMENT_FOURCC('c', 'P', 'O', 'S'),
        SEGMENT_SESS = SEGMENT_FOURCC('s', 'E', 'S', 'S'),
        SEGMENT_RATE = SEGMENT_FOURCC('r', 'A', 'T', 'E'),
};

/* A type whose first letter is lower case may be skipped by a reader that does not know it, as in PNG. */
#define SEGMENT_TYPE_OPTIONAL 0x20U

/* Type, length of the payload, CRC-32C. */
#define SEGMENT_CHUNK_HEADER_SIZE 12U

/* Sizes of the payloads, or of their fixed part. */
#define SEGMENT_HEAD_SIZE       112U
#define SEGMENT_OUTP_SIZE       48U
#define SEGMENT_FRAM_SIZE       24U
#define SEGMENT_GAP_SIZE        32U
#define SEGMENT_CIMG_SIZE       12U /* before the compressed pixels */
#define SEGMENT_CPOS_SIZE       32U
#define SEGMENT_SESS_SIZE       144U
#define SEGMENT_RATE_SIZE       24U
#define SEGMENT_INDX_SIZE       24U /* without entries: 20 before them, 4 behind */
#define SEGMENT_INDX_ENTRY_SIZE 24U
#define SEGMENT_OPERATION_SIZE  8U /* kind and length */
#define SEGMENT_NEW_SIZE        8U /* numbers of runs and tiles */
#define SEGMENT_RUN_SIZE        8U
#define SEGMENT_REF_RUN_SIZE    12U
#define SEGMENT_MOVE_SIZE       12U

enum segment_operation {
        SEGMENT_OPERATION_NEW = 1,    /* tiles as JPEG */
        SEGMENT_OPERATION_REF = 2,    /* tiles that were NEW before */
        SEGMENT_OPERATION_MOVE = 3,   /* rectangles of the picture before */
        SEGMENT_OPERATION_COARSE = 4, /* tiles as JPEG, by the coarse tables; not numbered */
        /* A kind with this bit may be skipped by a reader that does not know it. */
        SEGMENT_OPERATION_OPTIONAL = 0x80000000,
};

enum {
        SEGMENT_FRAME_KEY = 1U << 0,
        SEGMENT_FRAME_TORN = 1U << 1, /* may show parts of two pictures: it was drawn on while it was read */
};

enum segment_gap {
        SEGMENT_GAP_NO_GRANT = 1,    /* no permission to record this output now */
        SEGMENT_GAP_OFF = 2,         /* the display is off or asleep */
        SEGMENT_GAP_UNFINISHED = 3,  /* the graphics hardware does not finish drawing the picture */
        SEGMENT_GAP_UNPLUGGED = 4,   /* no such output any more */
        SEGMENT_GAP_UNDECODABLE = 5, /* the framebuffer's format cannot be read */
        SEGMENT_GAP_OVERLOAD = 6,    /* finished segments could not be uploaded quickly enough */
        SEGMENT_GAP_NO_CAPTURE = 7,  /* the capture service did not answer */
        SEGMENT_GAP_PAUSED = 8,      /* paused by a person or a rule */
        SEGMENT_GAP_LOCKED = 9,      /* the session is locked */
};

enum { SEGMENT_CURSOR_VISIBLE = 1U << 0 };

#define SEGMENT_OUTPUT_ALL UINT32_MAX /* in a gap: every output */

typedef struct SegmentHead {
        uint32_t version;
        uint32_t sequence; /* within the recording, from 0 */
        uint8_t device[16], recording[16];
        uint64_t start_realtime;     /* µs since the epoch, UTC */
        uint8_t previous_sha256[32]; /* of the whole segment before; zero for the first */
        char software[32];           /* what wrote it, NUL-terminated */
} SegmentHead;

typedef struct SegmentOutput {
        uint32_t id, width, height, refresh_mhz;
        char name[32]; /* NUL-terminated */
} SegmentOutput;

typedef struct SegmentTables {
        const uint8_t *data; /* SOI to the end of the SOS header */
        size_t size;
        size_t height_offset; /* of the big-endian 16-bit height in SOF0 */
} SegmentTables;

typedef struct SegmentRun {
        uint32_t first, count; /* tiles, numbered by rows from the top left */
} SegmentRun;

/* Tiles first … are those numbered number, number + step, … of the output's NEW tiles since its last
 * keyframe. */
typedef struct SegmentRefRun {
        uint32_t first, count, number;
        bool same; /* step is 0 instead of 1 */
} SegmentRefRun;

/* A rectangle at x, y that shows what the picture before the frame had at from_x, from_y. */
typedef struct SegmentMove {
        uint32_t x, y, width, height, from_x, from_y;
} SegmentMove;

#define SEGMENT_REF_SAME 0x80000000U /* in the count on the wire */

typedef struct SegmentFrame {
        uint32_t output, flags;
        uint64_t time; /* µs after start_realtime */
        uint32_t n_operations;
        const uint8_t *operations;
        size_t operations_size;
} SegmentFrame;

/* From time on no picture is known, until the output's next frame. */
typedef struct SegmentGap {
        uint32_t output; /* or SEGMENT_OUTPUT_ALL */
        uint32_t reason; /* enum segment_gap; readers accept any */
        uint64_t time;
        uint32_t format; /* DRM_FORMAT_* with UNDECODABLE, else 0 */
        uint64_t modifier;
} SegmentGap;

/* What the mouse pointer looks like. */
typedef struct SegmentCursorImage {
        uint32_t id, width, height;
        int32_t hot_x, hot_y; /* the pixel that points, from the upper left one */
        const uint8_t *data;  /* zlib: rows of premultiplied B, G, R, A */
        size_t size;
} SegmentCursorImage;

/* Where it is from time on, over the picture. */
typedef struct SegmentCursor {
        uint32_t output;
        bool visible; /* the rest is 0 if not */
        uint64_t time;
        int32_t x, y; /* of the image's upper left pixel, perhaps outside the picture; within int16_t */
        uint32_t image;
} SegmentCursor;

enum {
        SEGMENT_SESSION_OPEN = 1U << 0,  /* somebody has a session; if not, the rest is empty */
        SEGMENT_SESSION_LOGIN = 1U << 1, /* it is the login screen's own */
};

/* Who has the seat from time on. Texts are UTF-8, NUL-terminated. */
typedef struct SegmentSession {
        uint64_t time;
        uint32_t flags;
        uint32_t uid;
        char id[32];   /* of the session on its machine */
        char seat[32]; /* "seat0" */
        char user[64]; /* the account's name */
} SegmentSession;

enum {
        SEGMENT_RATE_COARSE = 1U << 0, /* what changes fast is coarse */
        SEGMENT_RATE_BYTES = 1U << 1,  /* because of the ceiling of bytes … */
        SEGMENT_RATE_CPU = 1U << 2,    /* … or of processor time */
};

/* How the recording is kept below what it may cost, from time on. */
typedef struct SegmentRate {
        uint64_t time;
        uint64_t interval; /* µs between frames */
        uint32_t flags;
} SegmentRate;

typedef struct SegmentIndex {
        uint64_t end_time; /* µs after start_realtime */
        uint32_t n_frames;
        uint32_t n_entries;
        const uint8_t *entries;
} SegmentIndex;

typedef struct SegmentIndexEntry {
        uint64_t time, offset;
        uint32_t output;
} SegmentIndexEntry;

static inline uint32_t segment_tiles_across(uint32_t width) {
        return (width + SEGMENT_TILE_WIDTH - 1) / SEGMENT_TILE_WIDTH;
}

static inline uint32_t segment_tiles_down(uint32_t height) {
        return (height + SEGMENT_TILE_HEIGHT - 1) / SEGMENT_TILE_HEIGHT;
}

/* A picture's size is within the bounds above. */
static inline bool segment_size_ok(uint32_t width, uint32_t height) {
        return width >= 1 && height >= 1 && width <= SEGMENT_SIDE_MAX && height <= SEGMENT_SIDE_MAX &&
               (uint64_t) width * height <= SEGMENT_PIXELS_MAX;
}
