"""An independent decoder of segments, written from docs/segment-format.md alone; Pillow decodes the JPEG data."""

import collections
import io
import struct
import uuid
import zlib

import numpy
from PIL import Image

Picture = collections.namedtuple("Picture", "realtime output image")  # seconds since the epoch; id; (h, w, 3) uint8 RGB

SIGNATURE = b"\x89SSS\r\n\x1a\n"


class BadSegment(ValueError):
    """The segment is not what the document says."""


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283


def chunks(data):
    """(offset, type, payload) of every chunk; BadSegment at the first thing that is wrong."""
    if data[:8] != SIGNATURE:
        raise BadSegment("no signature")
    offset = 8
    while offset < len(data):
        kind, length, crc = struct.unpack_from("<4sII", data, offset)
        payload = data[offset + 12:offset + 12 + length]
        if len(payload) != length:
            raise BadSegment(f"chunk at {offset} is cut")
        if crc32c(data[offset:offset + 8] + payload) != crc:
            raise BadSegment(f"chunk at {offset} is damaged")
        yield offset, kind.decode(), payload
        offset += 12 + length


Head = collections.namedtuple("Head", "sequence device recording start previous software")


def head(payload):
    version, sequence, device, recording, start, previous, software = struct.unpack("<II16s16sQ32s32s", payload)
    if version != 1:
        raise BadSegment(f"version {version}")
    return Head(sequence, uuid.UUID(bytes=device), uuid.UUID(bytes=recording), start, previous,
                software.rstrip(b"\0").decode())


def _height_offset(tables):
    at = 2
    while tables[at + 1] != 0xC0:
        at += 2 + int.from_bytes(tables[at + 2:at + 4], "big")
    return at + 5


class _Output:
    def __init__(self, width, height):
        self.width, self.height = width, height
        self.across = -(-width // 64)
        self.canvas = numpy.zeros((-(-height // 8) * 8, self.across * 64, 3), numpy.uint8)
        self.new = []  # every NEW tile since the keyframe
        self.cursor = None  # image, x, y
        self.drawn = False  # there is a picture

    def shown(self, images):
        """The picture with the mouse pointer over it."""
        picture = self.canvas[:self.height, :self.width].copy()
        if self.cursor:
            image, x, y = self.cursor
            colour, alpha = images[image][..., 2::-1].astype(int), images[image][..., 3:].astype(int)
            height, width = alpha.shape[:2]
            top, left, bottom, right = max(y, 0), max(x, 0), min(y + height, self.height), min(x + width, self.width)
            if top < bottom and left < right:
                inside = numpy.s_[top - y:bottom - y, left - x:right - x]
                below = picture[top:bottom, left:right].astype(int)
                picture[top:bottom, left:right] = numpy.minimum(
                    255, colour[inside] + (below * (255 - alpha[inside]) + 127) // 255)
        return picture

    def draw(self, operation, body, tables, coarse, before):
        if operation == 1:
            self._draw_new(body, tables)
        elif operation == 4:
            kept = len(self.new)
            self._draw_new(body, coarse)
            del self.new[kept:]
        elif operation == 2:
            for first, count, k in struct.iter_unpack("<III", body):
                same, count = count >> 31, count & 0x7FFFFFFF
                for i in range(count):
                    self._place(first + i, self.new[k if same else k + i])
        elif operation == 3:
            for x, y, width, height, from_x, from_y in struct.iter_unpack("<6H", body):
                self.canvas[y:y + height, x:x + width] = before[from_y:from_y + height, from_x:from_x + width]
        elif not operation & 0x80000000:
            raise BadSegment(f"operation {operation}")

    def _place(self, tile, pixels):
        y, x = divmod(tile, self.across)
        self.canvas[8 * y:8 * y + 8, 64 * x:64 * x + 64] = pixels

    def _draw_new(self, body, tables):
        n_runs, n_tiles = struct.unpack_from("<II", body)
        runs = [struct.unpack_from("<II", body, 8 + 8 * i) for i in range(n_runs)]
        where = _height_offset(tables)
        jpeg = tables[:where] + struct.pack(">H", 8 * n_tiles) + tables[where + 2:] + body[8 + 8 * n_runs:] + b"\xff\xd9"
        tall = numpy.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
        tiles = [first + i for first, count in runs for i in range(count)]
        if tall.shape != (8 * n_tiles, 64, 3) or len(tiles) != n_tiles:
            raise BadSegment(f"{n_tiles} tiles announced, {len(tiles)} placed, a picture of {tall.shape}")
        for i, tile in enumerate(tiles):
            self.new.append(tall[8 * i:8 * i + 8])
            self._place(tile, self.new[-1])


def cursor_image(payload):
    """Id and pixels (blue, green, red, alpha) of cIMG."""
    ident, width, height, _, _ = struct.unpack_from("<IHHhh", payload)
    return ident, numpy.frombuffer(zlib.decompress(payload[12:]), numpy.uint8).reshape(height, width, 4)


def decode(data):
    """What was shown from each change on, as Picture, in order: a frame, or the mouse pointer alone."""
    outputs, images, tables, coarse, start, found, ended = {}, {}, None, None, None, [], False

    def add(time, ident):
        if found and found[-1].realtime == (start + time) / 1e6 and found[-1].output == ident:
            found.pop()  # the pointer and a frame of one time are one change
        found.append(Picture((start + time) / 1e6, ident, outputs[ident].shown(images)))

    for offset, kind, payload in chunks(data):
        if ended or (start is None) != (kind == "HEAD"):
            raise BadSegment(f"{kind} at {offset} is out of order")
        if kind == "HEAD":
            start = head(payload).start
        elif kind == "OUTP":
            ident, width, height = struct.unpack_from("<III", payload)
            outputs[ident] = _Output(width, height)
        elif kind == "JTAB":
            tables = payload
        elif kind == "JCOA":
            coarse = payload
        elif kind == "FRAM":
            ident, flags, time, n_operations, _ = struct.unpack_from("<IIQII", payload)
            output, at = outputs[ident], 24
            before = output.canvas.copy()
            output.drawn = True
            if flags & 1:
                output.new = []
            for _ in range(n_operations):
                operation, length = struct.unpack_from("<II", payload, at)
                output.draw(operation, payload[at + 8:at + 8 + length], tables, coarse, before)
                at += 8 + length
            add(time, ident)
        elif kind == "cIMG":
            ident, pixels = cursor_image(payload)
            images[ident] = pixels
        elif kind == "cPOS":
            ident, visible, time, x, y, image, _ = struct.unpack("<IIQiiII", payload)
            outputs[ident].cursor = (image, x, y) if visible else None
            if outputs[ident].drawn:
                add(time, ident)
        elif kind == "INDX":
            ended = True
    if not ended:
        raise BadSegment("the index is missing: the segment was cut")
    return found


def outputs(paths):
    """(id, width, height, connector's name) of every OUTP."""
    return [(*struct.unpack_from("<III", payload), payload[16:48].rstrip(b"\0").decode())
            for path in paths for _, kind, payload in chunks(path.read_bytes()) if kind == "OUTP"]


Gap = collections.namedtuple("Gap", "output reason format modifier")  # output: its id, or ALL

ALL = 0xFFFFFFFF


def gaps(paths):
    """Every GAP_, in order."""
    return [Gap(*struct.unpack("<II8xI4xQ", payload)) for path in paths
            for _, kind, payload in chunks(path.read_bytes()) if kind == "GAP_"]


def pictures(paths):
    """Every frame of a recording's segments, in order."""
    return [picture for path in paths for picture in decode(path.read_bytes())]
