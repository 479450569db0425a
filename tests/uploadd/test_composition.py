"""Planes of every kind through the real uploadd: the recording shows what the display did."""

import numpy
import pytest

from system import pictures

from . import scene, wire
from .scene import Scene
from .test_layers import recorded, shown
from .test_uploadd import picture

WIDTH, HEIGHT = 320, 200


def gradient(width, height):
    """Smooth colours, RGB."""
    y, x = numpy.mgrid[0:height, 0:width]
    rgb = [x * 255 // width, y * 255 // height, 255 - x * 128 // width]
    return numpy.stack(rgb, -1).astype(numpy.uint8)


def with_alpha(width, height, premultiplied):
    """Blue, green, red, alpha: clear at the left, opaque at the right."""
    rgb, alpha = gradient(width, height).astype(int), numpy.broadcast_to(numpy.arange(width) * 255 // (width - 1),
                                                                       (height, width))
    if premultiplied:
        rgb = rgb * alpha[..., None] // 255
    return numpy.dstack([rgb[..., ::-1], alpha]).astype(numpy.uint8)


def recording_of(capd, broker, fault_server, *scenes):
    """The frames of a recording in which the scenes are shown one after the other."""
    recording = None
    for one in scenes:
        capd.pictures[0] = one
        recording = recording or broker.record(quality=100)
        shown(capd)
    segment = recorded(broker, fault_server, recording)
    return [p.image for p in pictures.decode(segment)]


def check(image, wanted, most=14):
    error = numpy.abs(image.astype(float) - wanted)
    assert error.max() <= most, f"off by {error.max():.0f} at {numpy.unravel_index(error.argmax(), error.shape)}"
    assert error.mean() < 1.5


@pytest.mark.parametrize("modifier", [0, scene.I915_X_TILED, scene.I915_Y_TILED, scene.I915_4_TILED])
def test_everything_at_once(capd, broker, fault_server, modifier):
    """A tiled primary plane, video above it, a turned and half transparent overlay, and the pointer."""
    desk = Scene(WIDTH, HEIGHT)
    desk.add_rgb(picture(), modifier=modifier, kind=scene.PRIMARY)
    desk.add_nv12(gradient(96, 64), (20, 100), alpha=0xc000)
    desk.add_rgb(with_alpha(60, 90, True), (200, 30), has_alpha=True, rotation=scene.ROTATE_90,
                 blend=scene.PREMULTIPLIED)
    desk.add_rgb(with_alpha(40, 40, False), (150, -10), has_alpha=True, rotation=scene.ROTATE_270 | scene.REFLECT_X,
                 blend=scene.COVERAGE, alpha=0xa000)
    desk.add_rgb(with_alpha(32, 32, True), (300, 180), has_alpha=True, blend=scene.PREMULTIPLIED, kind=scene.CURSOR,
                 hotspot=(3, 4))
    frame, = recording_of(capd, broker, fault_server, desk)
    check(frame, desk.shown())


@pytest.mark.parametrize("rotation", [scene.ROTATE_0 | scene.REFLECT_X, scene.ROTATE_90, scene.ROTATE_180,
                                      scene.ROTATE_270, scene.ROTATE_90 | scene.REFLECT_Y])
def test_a_turned_screen(capd, broker, fault_server, rotation):
    turned = rotation & (scene.ROTATE_90 | scene.ROTATE_270)
    pixels = picture(height=WIDTH, width=HEIGHT) if turned else picture()
    desk = Scene(WIDTH, HEIGHT).add_rgb(pixels, kind=scene.PRIMARY, rotation=rotation)
    frame, = recording_of(capd, broker, fault_server, desk)
    check(frame, desk.shown())


def test_scaled_video_alone(capd, broker, fault_server):
    desk = Scene(WIDTH, HEIGHT).add_nv12(gradient(96, 64), (10, 4), size=(300, 190), encoding=0)
    frame, = recording_of(capd, broker, fault_server, desk)
    # Chroma is not interpolated before it is scaled.
    check(frame, desk.shown())


def test_a_pointer_is_no_part_of_the_picture(capd, broker, fault_server):
    """It moves, and no tile is sent again; below another plane it is one of the picture's."""
    def desk(x, above=False):
        made = Scene(WIDTH, HEIGHT).add_rgb(picture(), kind=scene.PRIMARY)
        made.add_rgb(with_alpha(24, 24, True), (x, 60), has_alpha=True, blend=scene.PREMULTIPLIED, kind=scene.CURSOR)
        if above:
            made.add_rgb(picture(40, 30, 30), (x + 10, 70))
        return made
    scenes = [desk(10), desk(200), desk(100, above=True)]
    capd.pictures[0] = scenes[0]  # or the first picture could be of nothing
    recording = broker.record(quality=100)
    for one in scenes:
        capd.pictures[0] = one
        shown(capd)
    segment = recorded(broker, fault_server, recording)
    images = [p.image for p in pictures.decode(segment)]
    check(images[-1], scenes[-1].shown())
    assert any(numpy.abs(image - scenes[1].shown()).max() <= 14 for image in images)
    kinds = [kind for _, kind, _ in pictures.chunks(segment)]
    assert kinds.count("FRAM") == 2, kinds


def test_hdr_is_mapped(capd, broker, fault_server):
    """PQ's code for 203 cd/m² is a light grey, and its brightest is white."""
    levels = numpy.zeros((HEIGHT, WIDTH), numpy.uint32)
    levels[:, :160], levels[:, 160:] = 594, 1023  # BT.2408, table 1: 58 % of 1023
    pixels = (levels << 20 | levels << 10 | levels).view(numpy.uint8).reshape(HEIGHT, WIDTH, 4)
    desk = Scene(WIDTH, HEIGHT).add_rgb(pixels, kind=scene.PRIMARY)
    desk.planes[0].format = scene.fourcc("XR30")

    def change(message):
        message.hdr = wire.Hdr(eotf=2, colorspace=9, max_luminance=1000)
    capd.change = change
    frame, = recording_of(capd, broker, fault_server, desk)
    assert 200 < frame[100, 80].min() <= frame[100, 80].max() < 235
    assert frame[100, 240].min() >= 253


def test_a_pointer_that_cannot_be_read(capd, broker):
    """It is left out, said, and the screen is recorded all the same."""
    desk = Scene(WIDTH, HEIGHT).add_rgb(picture(), kind=scene.PRIMARY)
    desk.add_rgb(with_alpha(24, 24, True), has_alpha=True, kind=scene.CURSOR)
    desk.planes[1].modifier = 0x0200000018601b03
    capd.pictures[0] = desk
    broker.record()
    stats = broker.stats(lambda s: s.frames > 0 and s.text)
    assert b"AR24 with AMD_FMT_MOD(GFX10_RBPLUS, 64K_R_X)" in stats.text


def test_what_capd_cannot_give_out_is_named(capd, broker):
    capd.pictures[0] = wire.FrameNone(wire.NONE, 0, wire.UNDECODABLE, scene.fourcc("XR24"), 0x0100000000000004)
    broker.record()
    assert b"XR24 with I915_FORMAT_MOD_Y_TILED_CCS" in broker.stats(lambda s: s.text).text
