/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the three processes say to each other. One fixed-size struct per message, native byte order (both
 * ends are on one machine and of one build), on SOCK_SEQPACKET Unix sockets, where one datagram is one
 * message. The first four bytes are the type; the size must then be exact and the number of descriptors what
 * the receiver's table says, or the connection ends (wire-connection.h).
 *
 *   frame.sock    capd listens, uploadd connects     WIRE_FRAME_*
 *   control.sock  capd listens, brokerd connects     WIRE_CONTROL_*
 *   broker.sock   brokerd listens, uploadd connects  WIRE_BROKER_*
 *
 * Both ends of a connection first send WIRE_HELLO; nothing else is permitted before it.
 *
 * Times are nanoseconds of CLOCK_BOOTTIME unless the name says realtime (microseconds since the epoch, UTC).
 * Strings are NUL-terminated within their array and text_is_clean(); a receiver refuses one that is not.
 * Reserved fields are zero. Identifiers of recordings and devices are RFC 9562 UUIDs as 16 bytes in the
 * order they are printed.
 */

#include <stdint.h>

#define WIRE_VERSION       1U
#define WIRE_OUTPUTS_MAX   16U /* outputs of a workstation, over all cards */
#define WIRE_PLANES_MAX    12U /* planes that one output shows at a time */
#define WIRE_FRAME_FDS_MAX 16U
#define WIRE_URL_MAX       4096U
#define WIRE_HEADERS_MAX   24U
#define WIRE_ADDRESSES_MAX 8U

enum {
        WIRE_HELLO = 0x1,

        WIRE_FRAME_OUTPUTS_GET = 0x101, /* uploadd → capd */
        WIRE_FRAME_OUTPUTS = 0x102,     /* capd → uploadd, the answer; also unasked, after RESCAN */
        WIRE_FRAME_NEXT = 0x103,        /* uploadd → capd */
        WIRE_FRAME_FRAME = 0x104, /* capd → uploadd, an answer to NEXT: the only message with descriptors */
        WIRE_FRAME_NONE = 0x105,  /* capd → uploadd, the other: never silence */
        WIRE_FRAME_CONFIRM = 0x106,   /* uploadd → capd: its pixels have been read */
        WIRE_FRAME_CONFIRMED = 0x107, /* capd → uploadd, the answer */

        WIRE_CONTROL_GRANT = 0x201,      /* brokerd → capd */
        WIRE_CONTROL_REVOKE = 0x202,     /* brokerd → capd */
        WIRE_CONTROL_STATUS_GET = 0x203, /* brokerd → capd */
        WIRE_CONTROL_STATUS = 0x204,     /* capd → brokerd, the answer to each but RESCAN */
        WIRE_CONTROL_RESCAN = 0x205,     /* brokerd → capd: udev told of a display or a card */

        WIRE_BROKER_RECORD = 0x301,        /* brokerd → uploadd: begin this recording */
        WIRE_BROKER_STOP = 0x302,          /* brokerd → uploadd: end it */
        WIRE_BROKER_FLUSH = 0x303,         /* brokerd → uploadd: end the segment now, keep recording */
        WIRE_BROKER_SEGMENT_READY = 0x304, /* uploadd → brokerd: wants an UPLOAD */
        WIRE_BROKER_UPLOAD = 0x305,        /* brokerd → uploadd: one try */
        WIRE_BROKER_UPLOADED = 0x306,      /* uploadd → brokerd: the object is in the bucket */
        WIRE_BROKER_FAILED = 0x307,   /* uploadd → brokerd: the try failed, another UPLOAD is wanted */
        WIRE_BROKER_RELEASE = 0x308,  /* brokerd → uploadd: the control plane knows; forget the segment */
        WIRE_BROKER_FINISHED = 0x309, /* uploadd → brokerd: every segment of it was released */
        WIRE_BROKER_STATS = 0x30a,    /* uploadd → brokerd: at each change, and every few seconds while
                                         anything moves */
        WIRE_BROKER_SESSION = 0x30b,  /* brokerd → uploadd: at first and at each change */
        WIRE_BROKER_RESTART = 0x30d, /* brokerd → uploadd: upload what is finished, end, be started again */
        WIRE_BROKER_HOLD = 0x30c,    /* brokerd → uploadd: no pictures in the open recording, or again */
};

struct wire_hello {
        uint32_t type;
        uint32_t version; /* WIRE_VERSION, else the connection ends */
};

/* A message that is its type alone: OUTPUTS_GET, REVOKE, STATUS_GET, FLUSH, RESTART. */
struct wire_plain {
        uint32_t type;
        uint32_t reserved;
};

/* ------------------------------------------------------------------ frame.sock */

struct wire_output {
        uint32_t id; /* < 64: a bit of a grant; the same for as long as capd runs. uploadd tells brokerd
                        those of recordings, which are the connectors' for as long as uploadd runs */
        uint32_t width, height; /* pixels of the active mode */
        uint32_t refresh_mhz;   /* millihertz */
        char name[32];          /* of the connector as in /sys/class/drm: "DP-1" */
        char driver[32];        /* kernel driver of the card: "virtio_gpu" */
};

/* The outputs that show a picture now. */
struct wire_outputs {
        uint32_t type;
        uint16_t n_outputs;
        uint16_t n_left_out; /* those beyond WIRE_OUTPUTS_MAX, which no frame is to be had of */
        uint64_t asleep; /* bits of those that are plugged in, but off; of the rest nothing is plugged in */
        struct wire_output outputs[WIRE_OUTPUTS_MAX];
};

struct wire_frame_next {
        uint32_t type;
        uint32_t output;
        uint64_t last_identity; /* wire_frame.identity of a frame before: if it is still the same, NO_FLIP
                                   may be the answer; 0: a frame is wanted in any case */
};

/* drm-kms(7), "Color Management Properties": values of DRM's own COLOR_ENCODING and COLOR_RANGE. They mean
 * something for YUV formats only; where a driver has no such property, KMS's default is told: BT.601,
 * limited. */
enum wire_color_encoding {
        WIRE_COLOR_BT601 = 0,
        WIRE_COLOR_BT709 = 1,
        WIRE_COLOR_BT2020 = 2,
};

enum wire_color_range {
        WIRE_COLOR_LIMITED = 0, /* luma 16 to 235, for 8 bits */
        WIRE_COLOR_FULL = 1,
};

/* A plane as KMS describes it: drm-kms(7), include/uapi/drm/drm_mode.h. */
struct wire_plane {
        uint32_t plane_id;      /* KMS object id */
        uint32_t type;          /* DRM_PLANE_TYPE_PRIMARY, _OVERLAY or _CURSOR */
        uint32_t format;        /* DRM_FORMAT_*, drm_fourcc.h */
        uint32_t n_memory;      /* memory planes in use, 1 to 4 */
        uint64_t modifier;      /* DRM_FORMAT_MOD_*; DRM_FORMAT_MOD_INVALID where it is not known */
        uint32_t width, height; /* of the framebuffer, pixels */
        uint32_t pitches[4];    /* bytes */
        uint32_t offsets[4];    /* bytes into the descriptor's memory */
        uint32_t fds[4];        /* index into the message's descriptors */
        uint32_t src_x, src_y, src_w, src_h; /* 16.16 fixed point pixels of the framebuffer */
        int32_t crtc_x, crtc_y;  /* pixels of the output; a plane may hang over its edges on any side */
        uint32_t crtc_w, crtc_h; /* other than src_w and src_h: the plane is scaled */
        uint32_t rotation; /* DRM_MODE_ROTATE_* (counterclockwise) | DRM_MODE_REFLECT_* (before that), 0:
                              none known. src_* are before it, crtc_* after. */
        uint32_t zpos;     /* primary 0, overlays in between and cursor highest where the driver has no such
                              property */
        uint32_t alpha;    /* of the whole plane, 0 to 0xffff; times the pixel's, as blend_mode says */
        uint32_t blend_mode; /* enum wire_blend: what the format's own alpha means, if it has one;
                                premultiplied where the driver has no such property */
        uint32_t color_encoding, color_range; /* enum wire_color_encoding, _range */
        int32_t hotspot_x, hotspot_y; /* of a cursor: pixels from its top left corner, 0: not known */
};

enum wire_blend {
        WIRE_BLEND_NONE = 0, /* the pixel's alpha is ignored */
        WIRE_BLEND_PREMULTIPLIED = 1,
        WIRE_BLEND_COVERAGE = 2,
};

/* How the memory behind a frame's descriptors is to be read. One for all of a frame's planes. */
enum wire_memory {
        WIRE_MEMORY_DMABUF = 1, /* live: wait with poll(), bracket with DMA_BUF_IOCTL_SYNC. The inode (fstat)
                                   is its identity for as long as a descriptor or a mapping of it lives. */
        WIRE_MEMORY_MEMFD = 2,  /* capd's own copy, sealed; a new one for each frame, not worth keeping. Sent
                                   where the driver does not export its memory, or where a dma-buf of it
                                   cannot be mapped. */
};

/* What the output was told of the picture's light: HDR_OUTPUT_METADATA's static metadata type 1 (struct
 * hdr_metadata_infoframe of drm_mode.h, CTA-861-G 6.9), and the connector's Colorspace. All zero: SDR. */
struct wire_hdr {
        uint32_t eotf;       /* 0 traditional gamma (SDR), 1 the same for HDR, 2 SMPTE ST 2084 (PQ), 3 HLG */
        uint32_t colorspace; /* DRM_MODE_COLORIMETRY_*, 0: default; 9 BT2020_RGB, 10 BT2020_YCC */
        uint32_t max_luminance;            /* cd/m², of the mastering display, 0: not known */
        uint32_t min_luminance;            /* 0.0001 cd/m² */
        uint32_t max_content, max_average; /* cd/m²: MaxCLL and MaxFALL, 0: not known */
};

struct wire_frame {
        uint32_t type;
        uint32_t output;
        uint64_t sequence; /* counts the frames that capd gave out, from 1 */
        uint64_t time;
        uint64_t identity; /* of the framebuffers on all planes, and where these are: surely changed by a
                              page flip; the same value does not prove the same pixels. Never 0. */
        uint32_t width, height;   /* of the output, pixels */
        uint32_t memory;          /* enum wire_memory */
        uint32_t n_fds;           /* as attached: dma-bufs shared between planes are sent once */
        uint32_t n_planes;        /* 1 or more */
        uint32_t pointer_missing; /* 1: a cursor plane is left out, whose memory is not to be had; else 0 */
        struct wire_hdr hdr;
        struct wire_plane planes[WIRE_PLANES_MAX]; /* those that show something, in ascending zpos, all of
                                                      one moment; below them it is black */
};

/* Whether a frame is whole: sent as soon as its dma-bufs have been read, since whoever draws may already
 * paint into what a page flip has taken off the screen. Each frame may be confirmed once, the last one only.
 */
struct wire_frame_confirm {
        uint32_t type;
        uint32_t output;
        uint64_t sequence; /* wire_frame.sequence */
};

enum wire_whole {
        WIRE_WHOLE = 1, /* no plane has flipped since the frame was given out */
        WIRE_AGAIN = 2, /* one has: NEXT may be sent at once, for it does not count against the grant's
                           interval. Twice at most, then it is TORN. */
        WIRE_TORN = 3,  /* one has, and so it had each time before: take what there is, and mark it */
};

struct wire_frame_confirmed {
        uint32_t type;
        uint32_t output;
        uint64_t sequence;
        uint32_t whole; /* enum wire_whole */
        uint32_t reserved;
};

enum wire_reason {
        WIRE_REASON_NONE = 0,
        WIRE_REASON_NO_GRANT = 1,   /* none, expired, or not for this output */
        WIRE_REASON_TOO_SOON = 2,   /* see not_before */
        WIRE_REASON_OFF = 3,        /* CRTC inactive or display asleep, or no framebuffer on it */
        WIRE_REASON_UNFINISHED = 4, /* rendering into it does not end: for uploadd to find, which waits */
        WIRE_REASON_UNPLUGGED = 5,  /* no such output, or its card is gone */
        WIRE_REASON_UNDECODABLE =
                        6,       /* a format, modifier or memory that cannot be read: see format, modifier */
        WIRE_REASON_NO_FLIP = 7, /* nothing has flipped or moved since NEXT's last_identity, which says
                                  * nothing of the pixels; the least interval begins anew, as with a frame
                                  */
        _WIRE_REASON_MAX,
};

struct wire_frame_none {
        uint32_t type;
        uint32_t output;
        uint32_t reason; /* enum wire_reason, never NONE */
        uint32_t format; /* DRM_FORMAT_*, with UNDECODABLE; else 0 */
        uint64_t modifier;
        uint64_t not_before; /* with TOO_SOON: when to ask again; else 0 */
};

/* ------------------------------------------------------------------ control.sock */

/* Replaces the grant before it. capd serves a frame only of an output in the mask, no sooner than
 * min_interval after the last of that output, and never at or after expires. What is asked after it was sent
 * is answered by it: capd reads control.sock before frame.sock. */
struct wire_control_grant {
        uint32_t type;
        uint32_t reserved;
        uint64_t outputs;      /* bit n allows output n; all ones allows every output, also of the future */
        uint64_t min_interval; /* at least WIRE_GRANT_INTERVAL_MIN */
        uint64_t expires;      /* at most WIRE_GRANT_LIFETIME_MAX after now */
};

#define WIRE_GRANT_INTERVAL_MIN UINT64_C(10000000) /* 10 ms: 100 frames a second */
#define WIRE_GRANT_LIFETIME_MAX                                                                             \
        UINT64_C(60000000000) /* one minute: a dead brokerd ends capture by itself                          \
                               */

/* capd sees no uevents. Without it, capd notices a new display when uploadd next asks for the outputs, and a
 * new card never. */
struct wire_control_rescan {
        uint32_t type;
        uint32_t cards; /* 1: cards came or went, for which capd starts anew (it opens nothing once it
                           serves); 0: displays did, of which capd tells uploadd */
        uint64_t time;  /* of the last change of cards: capd that opened them later knows already */
};

struct wire_control_status {
        uint32_t type;
        uint32_t n_cards;
        uint32_t n_outputs;
        uint32_t last_reason;   /* enum wire_reason of the last NONE */
        uint64_t grant_expires; /* 0: no live grant */
        uint64_t frames;        /* given out since start */
        uint64_t refusals;      /* NONE answers since start */
};

/* ------------------------------------------------------------------ broker.sock */

struct wire_broker_record {
        uint32_t type;
        uint32_t quality; /* JPEG quality, 1 to 100 */
        uint8_t recording[16];
        uint8_t device[16];
        uint64_t frame_interval;
        uint64_t outputs;          /* mask as of the grant */
        uint32_t segment_seconds;  /* a segment ends after so long … */
        uint32_t segment_bytes;    /* … or when it is as large as this; at most SEGMENT_SIZE_MAX */
        uint64_t bytes_per_minute; /* what recording may cost, 0: no ceiling; kept by fewer frames first, …
                                    */
        uint32_t cpu_ms_per_second; /* … milliseconds of processor time, 1 to 1000, 0: no ceiling */
        uint32_t hold;              /* enum wire_hold: whether it begins with one */
};

enum {
        WIRE_SESSION_OPEN = 1U << 0,  /* somebody has a session at the seat; if not, the rest is 0 */
        WIRE_SESSION_LOGIN = 1U << 1, /* it is the login screen's */
};

/* Who has the seat, as logind knows it: goes into every segment. */
struct wire_broker_session {
        uint32_t type;
        uint32_t flags;
        uint32_t uid;
        uint32_t reserved;
        char id[32];
        char seat[32];
        char user[64]; /* UTF-8 */
};

/* Why no pictures are to be taken while a recording stays open: a gap of that reason is recorded. */
enum wire_hold {
        WIRE_HOLD_NONE = 0,
        WIRE_HOLD_PAUSED = 1,
        WIRE_HOLD_LOCKED = 2,
        _WIRE_HOLD_MAX,
};

struct wire_broker_hold {
        uint32_t type;
        uint32_t hold; /* enum wire_hold */
};

/* STOP, FINISHED */
struct wire_broker_recording {
        uint32_t type;
        uint32_t n_segments; /* FINISHED: how many segments it has; STOP: 0 */
        uint8_t recording[16];
};

/* UPLOADED, RELEASE */
struct wire_broker_segment {
        uint32_t type;
        uint32_t sequence;
        uint8_t recording[16];
};

/* Said once on a connection. The same again is no news, anything else of that segment ends it. */
struct wire_broker_segment_ready {
        uint32_t type;
        uint32_t sequence; /* from 0 within the recording, without holes */
        uint8_t recording[16];
        uint8_t sha256[32];          /* of the whole object */
        uint8_t previous_sha256[32]; /* of the segment before in the same recording, zero for sequence 0 */
        uint8_t md5[16];             /* of the whole object: for the Content-MD5 header */
        uint64_t size;               /* bytes */
        uint64_t start_realtime, end_realtime; /* not 0, not after the year 9999 */
        uint32_t n_frames;
        uint32_t final; /* 1: the recording ends with it; else 0 */
};

struct wire_header {
        char name[64];
        char value[1024];
};

struct wire_address {
        uint16_t family; /* AF_INET or AF_INET6 */
        uint16_t reserved;
        uint32_t scope_id;   /* sin6_scope_id */
        uint8_t address[16]; /* network byte order; IPv4 in the first four */
};

/* Everything one PUT needs. uploadd resolves no name: it connects to these addresses only, and refuses a URL
 * that is not https or whose host and port its own configuration does not pin. */
struct wire_broker_upload {
        uint32_t type;
        uint32_t sequence;
        uint8_t recording[16];
        uint32_t n_headers;
        uint32_t n_addresses;
        char url[WIRE_URL_MAX];
        struct wire_header headers[WIRE_HEADERS_MAX];
        struct wire_address addresses[WIRE_ADDRESSES_MAX];
};

struct wire_broker_failed {
        uint32_t type;
        uint32_t sequence;
        uint8_t recording[16];
        int32_t error;        /* negative errno: -EACCES not pinned, -EPROTO refused by the server, … */
        uint32_t http_status; /* 0: no answer */
        char text[256];       /* for a person: what failed and what to do; holds no URL */
};

struct wire_broker_stats {
        uint32_t type;
        uint32_t recording; /* 1 while a recording is open */
        uint32_t n_outputs;
        uint32_t reason; /* enum wire_reason of the last frame asked for, WIRE_REASON_NONE if it came */
        uint32_t format; /* with WIRE_REASON_UNDECODABLE */
        uint32_t pending_segments; /* finished, not yet released */
        uint64_t modifier;
        uint64_t pending_bytes;
        uint64_t frames; /* encoded since start */
        uint64_t last_frame_realtime;
        struct wire_output outputs[WIRE_OUTPUTS_MAX];
        char text[256]; /* what hinders the recording now, "" if nothing */
};
