"""Short screens: what desktops do, each with what the encoder has for it. Drawn here; and real ones, ten frames of a piece of what tools/bench
record recorded (ffmpeg -ss … -vf crop=… -frames:v 10 -c:v zmbv)."""

import pathlib
import subprocess

import numpy
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 500, 300  # neither is of whole tiles
FRAMES = 10


def _text(width, height, seed, dark=False):
    """A page of lines 17 px apart."""
    ink, paper = ((220, 230, 220), (20, 20, 30)) if dark else ((30, 30, 40), (250, 250, 245))
    rng = numpy.random.default_rng(seed)
    page = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(page)
    for y in range(4, height, 17):
        words = ["".join(map(chr, rng.integers(97, 123, rng.integers(2, 9)))) for _ in range(width // 30)]
        draw.text((8, y), " ".join(words), fill=tuple(int(c) for c in numpy.roll(ink, rng.integers(3))))
    return numpy.asarray(page)


def _desk():
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    return numpy.stack([x * 255 // WIDTH, y * 255 // HEIGHT, (x + y) % 256], axis=-1).astype(numpy.uint8)


def idle():
    """Nothing but a clock."""
    for i in range(FRAMES):
        screen = _desk()
        screen[10:30, 420:480] = _text(60, 20, i // 3)
        yield screen


def typing():
    """Letters come one by one, and the line is taken back."""
    text = _text(460, 280, 1)
    for i in range(FRAMES):
        screen = numpy.full((HEIGHT, WIDTH, 3), 250, numpy.uint8)
        screen[10:10 + 17 * 3, 20:480] = text[:17 * 3]
        screen[61:78, 20:20 + 40 * (i % 8)] = text[51:68, :40 * (i % 8)]
        yield screen


def scroll():
    """A page goes up and down beneath a bar, by no multiple of a tile."""
    page = _text(440, 900, 2)
    for offset in (0, 11, 40, 97, 180, 170, 155, 300, 317, 317):
        screen = _desk()
        screen[40:290, 30:470] = page[offset:offset + 250]
        yield screen


def terminal():
    """Lines come in below; the frame around stays."""
    page = _text(480, 900, 3, dark=True)
    for i in range(FRAMES):
        screen = numpy.full((HEIGHT, WIDTH, 3), 20, numpy.uint8)
        screen[2:2 + 17 * 17, 5:485] = page[17 * 2 * i:17 * (2 * i + 17)]
        yield screen


def sideways():
    """Long lines scrolled to the left and right."""
    page = _text(1200, 280, 4)
    for offset in (0, 7, 30, 95, 160, 161, 140, 77, 300, 310):
        screen = numpy.full((HEIGHT, WIDTH, 3), 200, numpy.uint8)
        screen[10:290, 20:480] = page[:, offset:offset + 460]
        yield screen


def drag():
    """A window over a coloured desk, moved in both directions at once."""
    window = _text(230, 150, 5)
    for i in range(FRAMES):
        screen = _desk()
        screen[10 + 13 * i:160 + 13 * i, 15 + 21 * i:245 + 21 * i] = window
        yield screen


def switch():
    """Three windows in turn: what was there before comes back."""
    windows = [_text(WIDTH, HEIGHT, 6), _desk(), _text(WIDTH, HEIGHT, 7, dark=True)]
    for i in range(FRAMES):
        yield windows[i % 3]


def video():
    """A film in a window: everything in it is new each time."""
    rng = numpy.random.default_rng(8)
    for i in range(FRAMES):
        screen = _desk()
        coarse = Image.fromarray(rng.integers(0, 256, (12, 20, 3), numpy.uint8))
        screen[50:250, 90:410] = numpy.asarray(coarse.resize((320, 200), Image.BICUBIC))
        yield screen


def _recorded(path):
    def trace():
        width, height = map(int, subprocess.run(
            ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height", "-of", "csv=p=0", path], check=True,
            capture_output=True, text=True).stdout.strip().split(","))
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True,
                             stdout=subprocess.PIPE).stdout
        yield from numpy.frombuffer(raw, numpy.uint8).reshape(-1, height, width, 3)
    trace.__name__ = f"recorded-{path.stem}"
    return trace


RECORDED = tuple(map(_recorded, sorted((pathlib.Path(__file__).parent / "recorded").glob("*.avi"))))
ALL = (idle, typing, scroll, terminal, sideways, drag, switch, video)
