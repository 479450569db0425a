"""Writes the test vectors, from docs/segment-format.md alone: nothing of the project's code makes them. Pillow's libjpeg compresses each tile by
itself, which is what a restart interval is.

    python3 -m vectors.make        # in tests/; writes *.sss and SHA256 anew
"""

import hashlib
import io
import pathlib
import struct
import zlib

import numpy
from PIL import Image

from system import pictures

FOLDER = pathlib.Path(__file__).parent
KEY, TORN = 1, 2
NEW, REF, MOVE, COARSE = 1, 2, 3, 4
SAME = 1 << 31
EVERY = 0xFFFFFFFF


def jpeg(tile, quality):
    """(header up to the end of SOS, entropy-coded data) of one tile."""
    out = io.BytesIO()
    Image.fromarray(tile).save(out, "JPEG", quality=quality, subsampling=0)
    data, at = out.getvalue(), 2
    while data[at + 1] != 0xDA:
        at += 2 + int.from_bytes(data[at + 2:at + 4], "big")
    end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
    assert data[-2:] == b"\xff\xd9"
    return data[:at] + b"\xff\xdd\x00\x04\x00\x08" + data[at:end], data[end:-2]


def tables(quality):
    return jpeg(numpy.zeros((8, 64, 3), numpy.uint8), quality)[0]


class Segment:
    def __init__(self, sequence=0):
        self.data, self.entries, self.n_frames = bytearray(pictures.SIGNATURE), [], 0
        self.chunk("HEAD", struct.pack("<II16s16sQ32s32s", 1, sequence, b"\x11" * 16, b"\x22" * 16, 1767225600000000, bytes(32), b"test vector"))

    def chunk(self, kind, payload):
        header = kind.encode() + struct.pack("<I", len(payload))
        self.data += header + struct.pack("<I", pictures.crc32c(header + payload)) + payload

    def output(self, ident, width, height, name):
        self.chunk("OUTP", struct.pack("<IIII32s", ident, width, height, 60000, name))

    def frame(self, ident, time, *operations, flags=0):
        if flags & KEY:
            self.entries.append(struct.pack("<QQII", time, len(self.data), ident, 0))
        self.n_frames += 1
        body = b"".join(struct.pack("<II", kind, len(data)) + data for kind, data in operations)
        self.chunk("FRAM", struct.pack("<IIQII", ident, flags, time, len(operations), 0) + body)

    def gap(self, ident, time, reason, fourcc=0, modifier=0):
        self.chunk("GAP_", struct.pack("<IIQIIQ", ident, reason, time, fourcc, 0, modifier))

    def cursor_image(self, ident, pixels, hot):
        height, width, _ = pixels.shape
        self.chunk("cIMG", struct.pack("<IHHhh", ident, width, height, *hot) + zlib.compress(pixels.tobytes(), 9))

    def cursor(self, ident, time, x=0, y=0, image=0, visible=1):
        self.chunk("cPOS", struct.pack("<IIQiiII", ident, visible, time, x, y, image, 0))

    def session(self, time, flags, uid=0, session=b"", seat=b"", user=b""):
        self.chunk("sESS", struct.pack("<QII32s32s64s", time, flags, uid, session, seat, user))

    def rate(self, time, interval, flags):
        self.chunk("rATE", struct.pack("<QQII", time, interval, flags, 0))

    def finish(self, time):
        size = 36 + 24 * len(self.entries)
        self.chunk("INDX", struct.pack("<QIII", time, self.n_frames, len(self.entries), 0) + b"".join(self.entries) + struct.pack("<I", size))
        return bytes(self.data)


class Display:
    """What it shows, to be drawn on, and operations made of it."""

    def __init__(self, width, height, seed):
        y, x = numpy.mgrid[0:height, 0:width]
        self.pixels = numpy.stack([x * 255 // width, y * 255 // height, (x * y + 40 * seed) % 256], axis=-1).astype(numpy.uint8)
        self.across, self.down = -(-width // 64), -(-height // 8)
        self.random = numpy.random.default_rng(seed)

    def all(self):
        return [(0, self.across * self.down)]

    def noise(self, x, y, width, height):
        self.pixels[y:y + height, x:x + width] = self.random.integers(0, 256, (height, width, 3))

    def tile(self, number):
        height, width, _ = self.pixels.shape
        whole = numpy.pad(self.pixels, ((0, self.down * 8 - height), (0, self.across * 64 - width), (0, 0)), "edge")
        y, x = divmod(number, self.across)
        return numpy.ascontiguousarray(whole[8 * y:8 * y + 8, 64 * x:64 * x + 64])

    def new(self, runs, kind=NEW, quality=85):
        tiles = [jpeg(self.tile(first + i), quality)[1] for first, count in runs for i in range(count)]
        data = b"".join(b"\xff%c" % (0xD0 + (i - 1) % 8) * (i > 0) + tile for i, tile in enumerate(tiles))
        return kind, struct.pack("<II", len(runs), len(tiles)) + b"".join(struct.pack("<II", *run) for run in runs) + data

    def coarse(self, runs):
        return self.new(runs, COARSE, 20)


def ref(*runs):
    return REF, b"".join(struct.pack("<III", *run) for run in runs)


def move(*rectangles):
    """x, y, width, height, from x, from y."""
    return MOVE, b"".join(struct.pack("<6H", *rectangle) for rectangle in rectangles)


def tiles():
    """NEW and REF: runs over a row's end, tiles that hang over, more than eight of them; tiles like each other and one after the other,
    named in the frame they are in and in later ones; other tables, which tiles from before keep out of, and a keyframe from which the numbers begin
    again."""
    segment, display = Segment(), Display(150, 45, 1)
    segment.output(0, 150, 45, b"Virtual-1")
    segment.chunk("JTAB", tables(85))
    segment.frame(0, 0, display.new([(0, 2), (4, 9)]), ref((2, 2 | SAME, 0), (13, 5, 3)), flags=KEY)
    display.noise(60, 10, 20, 9)
    segment.frame(0, 200000, display.new([(3, 2), (7, 1)]), ref((0, 3 | SAME, 13)))
    segment.frame(0, 400000, ref((15, 3, 11), (9, 1, 0)))
    segment.chunk("JTAB", tables(60))
    segment.frame(0, 500000, display.new([(2, 1)]), ref((5, 1, 11), (8, 1, 14)))
    display.noise(0, 40, 150, 5)
    segment.frame(0, 600000, display.new([(0, 17)]), ref((17, 1, 16)), flags=KEY)
    segment.frame(0, 800000, display.new([(17, 1)]), ref((0, 1, 17)))
    return segment.finish(1000000)


def moves():
    """MOVE: up, down, sideways, by no multiple of a block; overlapping, in one operation and in two, each from the picture before; then tiles over
    what moved."""
    segment, display = Segment(), Display(150, 45, 2)
    display.noise(20, 5, 30, 30)
    segment.output(0, 150, 45, b"Virtual-1")
    segment.chunk("JTAB", tables(85))
    segment.frame(0, 0, display.new(display.all()), flags=KEY)
    segment.frame(0, 200000, move((0, 0, 150, 38, 0, 7)))
    segment.frame(0, 400000, move((0, 5, 150, 40, 0, 0), (0, 0, 150, 5, 0, 40)))
    segment.frame(0, 600000, move((13, 0, 137, 45, 0, 0), (0, 0, 64, 20, 86, 25)), move((30, 10, 40, 30, 90, 3)), display.new([(4, 2)]),
                  ref((0, 2, 5)))
    segment.frame(0, 800000, move((149, 44, 1, 1, 0, 0)))
    return segment.finish(1000000)


def coarse():
    """JCOA and COARSE, which REF does not number; rATE; moved, and sent again in full."""
    segment, display = Segment(), Display(150, 45, 3)
    segment.output(0, 150, 45, b"Virtual-1")
    segment.chunk("JTAB", tables(85))
    segment.frame(0, 0, display.new(display.all()), flags=KEY)
    segment.rate(200000, 400000, 2)
    segment.chunk("JCOA", tables(20))
    segment.rate(200000, 400000, 3)
    display.noise(0, 8, 150, 16)
    segment.frame(0, 200000, display.new([(0, 1)]), display.coarse([(3, 6)]), ref((9, 1, 18)))
    segment.frame(0, 600000, move((0, 9, 150, 15, 0, 8)))
    segment.rate(1000000, 200000, 4)
    segment.frame(0, 1000000, display.new([(3, 6)]), ref((9, 1, 19), (10, 2 | SAME, 24)))
    return segment.finish(1200000)


def cursor():
    """cIMG and cPOS: translucent, over every edge, with a frame and alone, hidden; before a frame there is none."""
    segment, display = Segment(), Display(150, 45, 4)
    arrow = numpy.zeros((12, 9, 4), numpy.uint8)
    for y in range(12):
        arrow[y, :y * 3 // 4 + 1] = (20 * y, 10 * y, 5 * y, 255 - 20 * y)
    segment.output(0, 150, 45, b"Virtual-1")
    segment.chunk("JTAB", tables(85))
    segment.cursor_image(0, arrow, (0, 0))
    segment.cursor(0, 0, 30, 20, 0)
    segment.frame(0, 0, display.new(display.all()), flags=KEY)
    segment.cursor(0, 100000, -4, -5, 0)
    segment.cursor(0, 200000, 146, 40, 0)
    segment.cursor_image(63, numpy.full((45, 256, 4), (0, 90, 0, 90), numpy.uint8), (-3, 300))
    segment.cursor(0, 300000, -50, 10, 63)
    segment.frame(0, 300000, move((0, 0, 150, 30, 0, 15)))
    segment.cursor(0, 400000, -32768, 32767, 63)
    segment.cursor(0, 500000, visible=0)
    segment.cursor_image(0, numpy.full((1, 1, 4), 255, numpy.uint8), (0, 0))
    segment.cursor(0, 600000, 149, 44, 0)
    return segment.finish(700000)


def outputs():
    """Two displays in turn, one with another mode later; gaps of one and of all, with and without a format, and frames that end them, one of no
    operations; a torn frame; who has the seat."""
    segment, left, right = Segment(), Display(100, 30, 5), Display(65, 9, 6)
    segment.session(0, 3, 113, b"c1", b"seat0", b"gdm")
    segment.output(5, 100, 30, b"DP-1")
    segment.output(63, 65, 9, b"HDMI-A-1")
    segment.chunk("JTAB", tables(85))
    segment.frame(5, 0, left.new(left.all()), flags=KEY)
    segment.frame(63, 0, right.new(right.all()), flags=KEY)
    segment.session(100000, 1, 1000, b"2", b"seat0", "zoë".encode())
    left.noise(0, 0, 100, 8)
    segment.frame(5, 200000, left.new([(0, 2)]), flags=TORN)
    segment.gap(63, 300000, 2)
    segment.frame(5, 400000, ref((2, 2, 0)))
    segment.frame(63, 500000)
    segment.gap(EVERY, 600000, 9)
    segment.frame(63, 700000, move((0, 0, 65, 8, 0, 1)))
    segment.session(700000, 0)
    segment.output(5, 30, 100, b"DP-1")
    turned = Display(30, 100, 7)
    segment.frame(5, 800000, turned.new(turned.all()), flags=KEY | TORN)
    segment.gap(5, 900000, 5, int.from_bytes(b"XR24", "little"), 0x0100000000000009)
    segment.gap(63, 1000000, 4000)
    return segment.finish(1100000)


def unknown():
    """What a later version may add and this one skips: a chunk, an operation."""
    segment, display = Segment(7), Display(64, 8, 8)
    segment.chunk("xNEW", b"whatever")
    segment.output(0, 64, 8, b"Virtual-1")
    segment.chunk("JTAB", tables(85))
    segment.frame(0, 0, (0x80000005, b""), display.new([(0, 1)]), (0xFFFFFFFF, b"more"), flags=KEY)
    segment.chunk("xNEW", b"")
    return segment.finish(0)


VECTORS = (tiles, moves, coarse, cursor, outputs, unknown)


def digest(image):
    return hashlib.sha256(image.tobytes()).hexdigest()


def main():
    lines = []
    for vector in VECTORS:
        data = vector()
        (FOLDER / f"{vector.__name__}.sss").write_bytes(data)
        for picture in pictures.decode(data):
            height, width, _ = picture.image.shape
            time = round((picture.realtime - 1767225600) * 1e6)
            lines.append(f"{digest(picture.image)}  {vector.__name__}.sss {picture.output} {time} {width}x{height}\n")
    (FOLDER / "SHA256").write_text("".join(lines))


if __name__ == "__main__":
    main()
