"""What kmspaint draws, and what a picture of it says. The same as src/pattern.h: change both."""

import numpy

CELL = 64
MARGIN = 8
TILE_CELLS = 8
SYNC = 0xB1E3


def code(n, output):
    """The 64 bits of a tile."""
    low = SYNC | n << 16 | output << 48
    return low | sum(low.to_bytes(7, "little")) % 256 << 56


def _ramp(v):
    return numpy.where(v & 128, 127 - (v & 127), v & 127)


def picture(n, output, width, height):
    """The picture with number n on this output, as (height, width, 3) uint8, RGB."""
    y, x = numpy.mgrid[0:height, 0:width].astype(numpy.int64)
    bit = (y // CELL % TILE_CELLS) * TILE_CELLS + x // CELL % TILE_CELLS
    bits = numpy.array([code(n, output) >> i & 1 for i in range(TILE_CELLS * TILE_CELLS)])
    base = numpy.where(bits[bit], 200, 8)
    in_block = numpy.ones((height, width), bool)
    for within in (x % CELL, y % CELL):
        in_block &= (within >= MARGIN) & (within < CELL - MARGIN)
    shade = n + bit
    block = [base + 16 * (shade + i & 3) for i in (0, 1, output + 2)]
    ramp = [64 + _ramp(x + 8 * n), 64 + _ramp(y + 16 * n + 64 * output), 64 + _ramp((x + y) // 2 + 32 * n)]
    return numpy.stack([numpy.where(in_block, b, r) for b, r in zip(block, ramp)], axis=2).astype(numpy.uint8)


def cursor():
    """kmspaint's cursor, as (64, 64, 4) uint8: blue, green, red, alpha, as it is in memory."""
    y, x = numpy.mgrid[0:64, 0:64]
    alpha = numpy.where(x + y < 64, 255, numpy.where(x + y < 96, 128, 0))
    return numpy.stack([alpha // 2, 4 * y * alpha // 255, 4 * x * alpha // 255, alpha], axis=2).astype(numpy.uint8)


def read(image):
    """(n, output) that a decoded picture shows. ValueError says why it is none, or not a whole one of one number."""
    height, width = image.shape[:2]
    tile = CELL * TILE_CELLS
    if height < tile or width < tile:
        raise ValueError(f"{width}x{height} px is too small to hold a tile of {tile} px")
    bright = image.astype(numpy.int64).mean(axis=2)
    if bright.max() - bright.min() < 64:
        raise ValueError(f"the picture is of one shade, {bright.mean():.0f}")
    found = None
    # The whole tiles must agree: a torn picture shows one number above and another below.
    for top in range(0, height - tile + 1, tile):
        for left in range(0, width - tile + 1, tile):
            here = _read_tile(bright[top:top + tile, left:left + tile])
            if found not in (None, here):
                raise ValueError(f"shows n, output = {found} and {here} at {left},{top}")
            found = here
    return found


def _read_tile(bright):
    value = 0
    for bit in range(TILE_CELLS * TILE_CELLS):
        y, x = (CELL * i + CELL // 4 for i in divmod(bit, TILE_CELLS))
        value |= int(bright[y:y + CELL // 2, x:x + CELL // 2].mean() > 128) << bit
    n, output = value >> 16 & 0xFFFFFFFF, value >> 48 & 0xFF
    if value & 0xFFFF != SYNC:
        raise ValueError(f"no sync bits ({value & 0xFFFF:#06x}): another picture, or turned, mirrored or torn")
    if value != code(n, output):
        raise ValueError(f"the sum of the bits of n = {n}, output = {output} is wrong: torn?")
    return n, output


def error(image, n, output):
    """Largest and mean difference in any channel from what should be there. JPEG 4:4:4 at quality 85: see test_vm.py."""
    height, width = image.shape[:2]
    difference = numpy.abs(image.astype(numpy.int64) - picture(n, output, width, height))
    return int(difference.max()), float(difference.mean())
