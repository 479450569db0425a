"""Every frame of every kind of screen, decoded, is pixel-equal to the reference of equality.py; with the project's decoder
and with that of tests/system, which was written from the document. An error in either is noticed."""

import struct
import subprocess

import numpy
import pytest

from system import pictures

from . import traces
from .equality import Unequal, check

FPS = 5


def encode(build, path, frames, *options):
    """A segment of the frames, by the encoder that uploadd has. options: more arguments."""
    raw = b"".join(numpy.dstack([frame[..., ::-1], numpy.full(frame.shape[:2], 0x5a, numpy.uint8)]).tobytes() for frame in frames)
    height, width, _ = frames[0].shape
    subprocess.run([build / "tests" / "bench" / "encode", "--size", f"{width}x{height}", "--fps", str(FPS), "-o", path, *options],
                   input=raw, stdout=subprocess.DEVNULL, check=True)
    return path.read_bytes()


def exported(build, path, shape=(traces.HEIGHT, traces.WIDTH)):
    """As the project's own decoder shows it."""
    raw = subprocess.run([build / "cli" / "streamsight-export", "--raw", path], stdout=subprocess.PIPE, check=True).stdout
    return numpy.frombuffer(raw, numpy.uint8).reshape(-1, *shape[:2], 4)[..., 2::-1]


@pytest.mark.parametrize("trace", traces.ALL + traces.RECORDED, ids=lambda trace: trace.__name__)
def test_every_frame_equals_the_reference(build, tmp_path, trace):
    path, frames = tmp_path / "trace.sss", list(trace())
    segment = encode(build, path, frames)
    counts = check(segment, frames, FPS, (picture.image for picture in pictures.decode(segment)))
    assert check(segment, frames, FPS, exported(build, path, frames[0].shape)) == counts
    if any(kind in trace.__name__ for kind in ("scroll", "terminal", "sideways")):
        assert counts[3] >= 3, "it does not use MOVE"
    if trace in (traces.switch, traces.typing):
        assert counts[2] >= 3, "it does not use REF"


@pytest.mark.parametrize("trace", (traces.scroll, traces.switch, traces.video, *traces.RECORDED), ids=lambda trace: trace.__name__)
@pytest.mark.parametrize("way", ["--portable", "--write-combined"])
def test_every_processor_and_memory_gives_the_same(build, tmp_path, trace, way):
    frames = list(trace())
    assert encode(build, tmp_path / "other.sss", frames, way) == encode(build, tmp_path / "trace.sss", frames)


def rewritten(segment, wanted, change):
    """The segment with the first chunk of a kind that change() does something to, its length and checksum made right."""
    for offset, kind, payload in pictures.chunks(segment):
        changed = bytearray(payload)
        if kind == wanted and change(changed):
            header = segment[offset:offset + 4] + struct.pack("<I", len(changed))
            return (segment[:offset] + header + struct.pack("<I", pictures.crc32c(header + bytes(changed))) + changed
                    + segment[offset + 12 + len(payload):])
    raise AssertionError(f"there is no such {wanted}")


def _operation(payload, kind, change):
    """Changes every entry of the first operation of a kind."""
    position = 24
    while position < len(payload):
        found, length = struct.unpack_from("<II", payload, position)
        if found == kind:
            for entry in range(position + 8, position + 8 + length, 12):
                change(payload, entry)
            return True
        position += 8 + length
    return False


def omitted(payload, kind):
    """Takes the first operation of a kind out of a frame that is no keyframe."""
    position = 24
    while not payload[4] & 1 and position < len(payload):
        found, length = struct.unpack_from("<II", payload, position)
        if found == kind:
            del payload[position:position + 8 + length]
            struct.pack_into("<I", payload, 16, struct.unpack_from("<I", payload, 16)[0] - 1)
            return True
        position += 8 + length
    return False


def _elsewhere(payload):
    """The first tile of NEW is drawn at its neighbour's place instead."""
    if payload[4] & 1 or struct.unpack_from("<I", payload, 24)[0] != 1:
        return False
    first, = struct.unpack_from("<I", payload, 40)
    struct.pack_into("<I", payload, 40, first - 1)
    return True


def _step(payload, form, at):
    value, = struct.unpack_from(form, payload, at)
    struct.pack_into(form, payload, at, value - 1 if value else 1)


def quantiser(payload):
    payload[payload.index(b"\xff\xdb") + 5] += 9  # the step of the first coefficient
    return True


ERRORS = {
    "MOVE from another row": (traces.scroll, "FRAM", lambda p: _operation(p, 3, lambda q, at: _step(q, "<H", at + 10))),
    "MOVE from another column": (traces.sideways, "FRAM", lambda p: _operation(p, 3, lambda q, at: _step(q, "<H", at + 8))),
    "REF to another tile": (traces.switch, "FRAM", lambda p: _operation(p, 2, lambda q, at: _step(q, "<I", at + 8))),
    "NEW left out": (traces.idle, "FRAM", lambda p: omitted(p, 1)),
    "REF left out": (traces.switch, "FRAM", lambda p: omitted(p, 2)),
    "MOVE left out": (traces.scroll, "FRAM", lambda p: omitted(p, 3)),
    "a tile in another's place": (traces.idle, "FRAM", _elsewhere),
    "another bit of JPEG data": (traces.idle, "FRAM", lambda p: p.__setitem__(-40, p[-40] ^ 1) or True),
}


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_the_encoder_is_noticed(build, tmp_path, error):
    trace, kind, change = ERRORS[error]
    path, frames = tmp_path / "trace.sss", list(trace())
    segment = rewritten(encode(build, path, frames), kind, change)
    with pytest.raises(Unequal):
        check(segment, frames, FPS, (picture.image for picture in pictures.decode(segment)))


def test_an_error_of_a_decoder_is_noticed(build, tmp_path):
    path, frames = tmp_path / "trace.sss", list(traces.scroll())
    segment = encode(build, path, frames)
    shown = [picture.image for picture in pictures.decode(segment)]
    shown[4] = shown[4].copy()
    shown[4][100, 100, 1] ^= 1
    with pytest.raises(Unequal):
        check(segment, frames, FPS, shown)
    # A decoder with other tables than the segment's.
    wrong = rewritten(segment, "JTAB", quantiser)
    with pytest.raises(Unequal):
        check(segment, frames, FPS, (picture.image for picture in pictures.decode(wrong)))


def test_a_frame_left_out_is_noticed(build, tmp_path):
    path, frames = tmp_path / "trace.sss", list(traces.typing())
    segment = encode(build, path, frames)
    frames.insert(3, frames[7])
    with pytest.raises(Unequal):
        check(segment, frames, FPS, (picture.image for picture in pictures.decode(segment)))
