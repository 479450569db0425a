"""A film for 40 seconds, then its last picture for 20, under a ceiling of bytes, on the frames' own clock."""

import re
import struct
import subprocess

import numpy
import pytest
from PIL import Image

from system import pictures

from . import traces
from .equality import Unequal, check
from .test_decode import FPS, encode, exported, omitted, quantiser, rewritten

FILM, STILL = 40 * FPS, 20 * FPS


@pytest.fixture(scope="module")
def film():
    rng = numpy.random.default_rng(9)
    frames = []
    for _ in range(FILM):
        screen = traces._desk()
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), numpy.uint8))
        screen[20:280, 50:450] = numpy.asarray(coarse.resize((400, 260), Image.BICUBIC))
        frames.append(screen)
    return frames + [frames[-1]] * STILL


def rates(segment):
    """(seconds, seconds between frames, flags) of each rATE."""
    unpacked = [struct.unpack("<QQII", payload) for _, kind, payload in pictures.chunks(segment) if kind == "rATE"]
    return [(time / 1e6, interval / 1e6, flags) for time, interval, flags, _ in unpacked]


def frame_times(segment):
    return [struct.unpack_from("<Q", payload, 8)[0] / 1e6 for _, kind, payload in pictures.chunks(segment) if kind == "FRAM"]


COARSE, BYTES = 1, 2


@pytest.mark.parametrize("part, slower, coarse", [(0.6, True, False), (0.12, True, True)])
def test_a_ceiling_is_kept(build, tmp_path, film, part, slower, coarse):
    """Below what the film costs freely: with fewer frames; far below it: with coarse ones too. Always pixel-equal."""
    free = len(encode(build, tmp_path / "free.sss", film))
    ceiling, path = int(free * part), tmp_path / "film.sss"
    segment = encode(build, path, film, "--bytes-per-minute", str(ceiling))
    assert len(segment) <= ceiling
    assert len(segment) > ceiling // 3, "it is lower than need be"

    counts = check(segment, film, FPS, (p.image for p in pictures.decode(segment)), all_frames=False)
    assert check(segment, film, FPS, exported(build, path), all_frames=False) == counts
    assert bool(counts[4]) == coarse
    # Still for long enough, everything is there in full: the film's window is what a free recording shows.
    assert counts[0] == 0, "something stays coarse"

    told = rates(segment)
    assert max(interval for _, interval, _ in told) > 1.2 / FPS, "it does not say that it was slowed down"
    assert any(flags & BYTES for _, _, flags in told)
    first_coarse = [time for time, _, flags in told if flags & COARSE]
    assert bool(first_coarse) == coarse
    if coarse:
        # Frames first: it was slower before it was coarse.
        gaps = numpy.diff([time for time in frame_times(segment) if time <= first_coarse[0] + 0.01])
        assert gaps.max() > 1.2 / FPS
        assert not told[-1][2] & COARSE, "it does not say that it is no longer coarse"
    inspected = subprocess.run([build / "cli" / "streamsight-inspect", path], capture_output=True, text=True, check=True).stdout
    assert "a frame every" in inspected and "for the ceiling of bytes" in inspected
    assert bool(re.search("coarse where it changes fast", inspected)) == coarse


def _bit_of_coarse(payload):
    """Changes a bit in the middle of the first COARSE operation's JPEG data."""
    position = 24
    while position < len(payload):
        kind, length = struct.unpack_from("<II", payload, position)
        if kind == 4:
            payload[position + 8 + length * 3 // 4] ^= 1
            return True
        position += 8 + length
    return False


@pytest.mark.parametrize("kind, change", [("FRAM", _bit_of_coarse), ("FRAM", lambda p: omitted(p, 4)), ("JCOA", quantiser)],
                         ids=["another bit of JPEG data", "left out", "other tables"])
def test_an_error_in_coarse_tiles_is_noticed(build, tmp_path, film, kind, change):
    ceiling = len(encode(build, tmp_path / "free.sss", film)) * 12 // 100
    segment = encode(build, tmp_path / "film.sss", film, "--bytes-per-minute", str(ceiling))
    counts = check(segment, film, FPS, (p.image for p in pictures.decode(segment)), all_frames=False)
    assert counts[4] > 0
    wrong = rewritten(segment, kind, change)
    with pytest.raises(Unequal):
        check(segment if kind == "JCOA" else wrong, film, FPS, (p.image for p in pictures.decode(wrong)), all_frames=False)


def test_without_a_ceiling_nothing_is_left_out(build, tmp_path, film):
    segment = encode(build, tmp_path / "film.sss", film)
    assert len(frame_times(segment)) == FILM and not rates(segment)
