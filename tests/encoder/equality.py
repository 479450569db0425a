"""What a segment must show, from the source alone: a tile drawn in a frame is as in a full-frame JPEG of that frame's
source, made by Pillow's libjpeg with the same tables (of JTAB, or of JCOA where it is coarse); a moved rectangle is the picture before, shifted; and where
neither draws, the source did not change. Nothing of the project's decoder is used."""

import io
import struct

import numpy
from PIL import Image

from system import pictures


class Unequal(AssertionError):
    pass


def quantisation(tables):
    """Of JTAB, as Pillow takes them."""
    height = pictures._height_offset(tables)
    empty = tables[:height] + b"\0\x08" + tables[height + 2:] + b"\xff\xd9"
    return Image.open(io.BytesIO(empty)).quantization


def full_frame(source, quantisations):
    """The source through one JPEG of the whole frame."""
    out = io.BytesIO()
    Image.fromarray(source).save(out, "JPEG", qtables=quantisations, subsampling=0)
    return numpy.asarray(Image.open(out).convert("RGB"))


def _operations(payload):
    at = 24
    while at < len(payload):
        kind, length = struct.unpack_from("<II", payload, at)
        yield kind, payload[at + 8:at + 8 + length]
        at += 8 + length


def _tiles(kind, body):
    """The tiles that NEW, COARSE or REF draws."""
    if kind in (1, 4):
        n_runs, = struct.unpack_from("<I", body)
        runs = [struct.unpack_from("<II", body, 8 + 8 * i) for i in range(n_runs)]
    else:
        runs = [(first, count & 0x7FFFFFFF) for first, count, _ in struct.iter_unpack("<III", body)]
    return [first + i for first, count in runs for i in range(count)]


class Reference:
    """The picture, and the source of each of its pixels as far as it was not sent through JPEG."""

    def __init__(self, shape):
        self.shown = numpy.zeros(shape, numpy.uint8)
        self.source = None
        self.coarse = numpy.zeros(shape[:2], bool)  # where a coarse tile came last

    def apply(self, payload, source, quantisations):
        """One frame; Unequal if what it draws does not come from the source."""
        key = payload[4] & 1  # it draws every tile itself
        shown, came = self.shown.copy(), None if self.source is None or key else self.source.copy()
        whole, across, rough = {}, -(-source.shape[1] // 64), self.coarse.copy()
        drawn = numpy.zeros(source.shape[:2], bool)
        for kind, body in _operations(payload):
            if kind == 3:
                for x, y, width, height, from_x, from_y in struct.iter_unpack("<6H", body):
                    to, origin = numpy.s_[y:y + height, x:x + width], numpy.s_[from_y:from_y + height, from_x:from_x + width]
                    shown[to], came[to], rough[to] = self.shown[origin], self.source[origin], self.coarse[origin]
                continue
            if (kind == 4) not in whole:
                whole[kind == 4] = full_frame(source, quantisations["JCOA" if kind == 4 else "JTAB"])
            for tile in _tiles(kind, body):
                y, x = divmod(tile, across)
                place = numpy.s_[8 * y:8 * y + 8, 64 * x:64 * x + 64]
                shown[place] = whole[kind == 4][place]
                rough[place] = kind == 4
                drawn[place] = True
        if came is not None and not numpy.array_equal(came[~drawn], source[~drawn]):
            raise Unequal("a change of the source was missed, or moved to where it is not")
        if came is None and not drawn.all():
            raise Unequal("the keyframe is not whole")
        self.shown, self.source, self.coarse = shown, source, rough


def check(segment, sources, fps, decoded, *, all_frames=True):
    """sources: each frame's pixels in order; decoded: what some decoder made of each FRAM. Returns how many there were
    of each kind of operation, and 0: pixels that are coarse in the end. all_frames: none was left out for a ceiling."""
    sources, decoded = iter(sources), iter(decoded)
    counts, quantisations, reference, at, source = {1: 0, 2: 0, 3: 0, 4: 0}, {}, None, -1, None
    for _, kind, payload in pictures.chunks(segment):
        if kind in ("JTAB", "JCOA"):
            quantisations[kind] = quantisation(payload)
        elif kind == "FRAM":
            number = struct.unpack_from("<Q", payload, 8)[0] * fps // 1000000
            while at < number:
                before, source, at = source, next(sources), at + 1
                if all_frames and at < number and before is not None and not numpy.array_equal(before, source):
                    raise Unequal(f"frame {at} has changed and is not there")
            reference = reference or Reference(source.shape)
            reference.apply(payload, source, quantisations)
            if not numpy.array_equal(reference.shown, next(decoded)):
                raise Unequal(f"frame {number} is not as the reference")
            for kind, _ in _operations(payload):
                counts[kind] += 1
    counts[0] = int(reference.coarse.sum())
    last = source
    for source in sources:
        if not numpy.array_equal(last, source):
            raise Unequal("a change at the end is not there")
    return counts
