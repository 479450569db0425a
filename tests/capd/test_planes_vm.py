"""capd, and the whole agent, on Linux 6.12 with two cards: virtio-gpu, which tells of hotspots there, and vkms with overlays,
rotation and vblank, and a writeback connector, through which the card says what it makes of its planes."""

import struct

import numpy
import pytest

from system.checks import MEAN
from system.machine import UNITS, Machine, image
from system.pictures import ALL, gaps, pictures
from system.recording import Recording
from vm import Painter, pattern

from .kmsplanes import KmsPlanes
from .machine import DMABUF, Capd

pytestmark = pytest.mark.vm

PRIMARY, CURSOR, OVERLAY = 1, 2, 0
PREMULTIPLIED = 1
ROTATE_0, ROTATE_90, ROTATE_180, ROTATE_270, REFLECT_X, REFLECT_Y = (1 << i for i in range(6))
UNDECODABLE = 5  # enum segment_gap
WIDTH, HEIGHT = 640, 480  # less to copy to and from the guest


@pytest.fixture(scope="module")
def machine(build, stack, tmp_path_factory):
    """A workstation whose agent is installed and stands still."""
    folder = tmp_path_factory.mktemp("planes")
    # With two processors this kernel crashes in emulation, seldom: QEMU 7.2 and code that the kernel patches.
    with Machine(image(build, folder, kernel="6.12"), folder / "vm", stack, cpus=1) as machine:
        machine.run(f"systemctl stop {' '.join(UNITS)} streamsight-capd", check=True)
        machine.vm.put(build / "tests" / "vm" / "src" / "kmsplanes", "/usr/local/bin/kmsplanes")
        machine.vm.put(build / "tests" / "capd" / "framecompose", "/usr/local/bin/framecompose")
        machine.run("modprobe vkms enable_overlay=1 enable_cursor=1 enable_writeback=1 && udevadm settle && test -e /dev/dri/card1",
                    check=True)
        machine.capd = Capd(machine.vm, build)
        machine.vm.savevm("installed")
        yield machine


@pytest.fixture
def capd(machine):
    machine.vm.loadvm("installed")
    return machine.capd


def noise(seed, width, height, opaque=True):
    """Pixels with nothing regular in them, in memory: XRGB8888, or ARGB8888 premultiplied. (Of colours above their alpha vkms makes
    something that overflows.)"""
    pixels = numpy.random.default_rng(seed).integers(0, 256, (height, width, 4), numpy.uint8)
    if not opaque:
        pixels[..., :3] = pixels[..., :3].astype(int) * pixels[..., 3:] // 255
    return pixels


def output_of(capd, driver):
    answers = capd.probe("outputs")[1:]
    return next(a.id for a in answers if a["driver"] == driver)


def rectangle(text):
    return tuple(map(int, text.split(",")))


def composed(capd, output):
    """The picture that uploadd makes of a frame, with the pointer over it."""
    picture, pointer = capd.composed(output)
    picture = picture.astype(float)
    if pointer:
        x, y, pixels = pointer
        top, left, bottom, right = max(y, 0), max(x, 0), y + pixels.shape[0], x + pixels.shape[1]
        below, pixels = picture[top:bottom, left:right], pixels[top - y:, left - x:]
        pixels = pixels[:below.shape[0], :below.shape[1]].astype(float)
        below[:] = pixels[..., :3] + below * (255 - pixels[..., 3:]) / 255
    return numpy.rint(picture).astype(int)


def assert_shows(capd, output, kms):
    """capd tells of exactly what is on the planes, from the lowest to the highest, and uploadd makes of it what the card itself makes
    of its planes. vkms rounds to 8 bits once, uploadd after each plane that lets others through: a few pixels are another's
    neighbour."""
    planes = capd.planes(output)
    assert [p.plane for p in planes] == sorted(kms.shown)  # vkms makes them in this order
    assert [p.zpos for p in planes] == sorted(p.zpos for p in planes)
    for plane in planes:
        shown = kms.shown[plane.plane]
        assert (plane["format"], rectangle(plane["src"]), rectangle(plane["crtc"])) == \
            (shown.buffer.format, shown.src, shown.crtc)
        if shown.rotation:
            assert plane.rotation == shown.rotation
    wrong = numpy.abs(composed(capd, output) - kms.picture()).max(axis=2)
    assert wrong.max() <= 1 and (wrong > 0).mean() < 0.01, \
        f"{(wrong > 1).sum()} pixels differ, {(wrong == 1).sum()} by one, from {numpy.argwhere(wrong > 1)[:1]} on"
    return planes


def test_the_cursor_with_its_hotspot(capd):
    with Painter(capd.vm, n=3) as painter:
        capd.grant()
        painter.cursor(100, 50)
        output = output_of(capd, "virtio_gpu")
        first, cursor = capd.planes(output)
        assert (cursor.type, cursor["crtc"], cursor["hotspot"]) == (CURSOR, "100,50,64,64", "5,9")
        assert (capd.pixels(output, 1)[1] == pattern.cursor()).all()
        assert (capd.picture(output)[1] == capd.vm.screendump()).all()


def test_both_cards_at_once(capd):
    with Painter(capd.vm, n=3), KmsPlanes(capd.vm, "/dev/dri/card1", WIDTH, HEIGHT) as kms:
        kms.show(kms.of_type("primary")[0], kms.buffer("XR24", noise(1, WIDTH, HEIGHT)))
        kms.commit()
        capd.grant()
        assert sorted(a["driver"] for a in capd.probe("outputs")[1:]) == ["virtio_gpu", "vkms"]
        assert (capd.picture(output_of(capd, "virtio_gpu"))[1] == capd.vm.screendump()).all()
        plane, = assert_shows(capd, output_of(capd, "vkms"), kms)
        assert (plane.width, plane.height, plane.memory) == (WIDTH, HEIGHT, DMABUF)


def test_overlays_cursor_and_formats(capd):
    with KmsPlanes(capd.vm, "/dev/dri/card1", WIDTH, HEIGHT) as kms:
        primary, overlays, cursor = kms.of_type("primary")[0], kms.of_type("overlay"), kms.of_type("cursor")[0]
        assert len(overlays) == 8
        kms.show(primary, kms.buffer("XR24", noise(1, WIDTH, HEIGHT)))
        kms.show(overlays[0], kms.buffer("AR24", noise(2, 200, 100, opaque=False)), 50, 60)
        kms.show(overlays[1], kms.buffer("RG16", noise(3, 300, 80)[:, :, :2].copy()), 150, 100)
        kms.show(overlays[2], kms.buffer("XR24", noise(4, 64, 64)), WIDTH - 24, HEIGHT - 28)
        kms.show(cursor, kms.buffer("AR24", pattern.cursor()), 180, 90)
        kms.commit()
        capd.grant()
        output = output_of(capd, "vkms")
        planes = assert_shows(capd, output, kms)
        assert [p.type for p in planes] == [PRIMARY, OVERLAY, OVERLAY, OVERLAY, CURSOR]
        # alpha is premultiplied where the driver does not say, and the plane's own is full
        assert {(p.blend, p.alpha) for p in planes} == {(PREMULTIPLIED, 0xFFFF)}

        # all eight and the cursor, hanging over every edge
        for i, overlay in enumerate(overlays):
            alpha = bool(i & 2)
            kms.show(overlay, kms.buffer("AR24" if alpha else "XR24", noise(10 + i, 120, 90, opaque=not alpha)),
                     [-40, WIDTH - 24][i % 2], -30 + 60 * i)
        kms.show(cursor, kms.shown[cursor].buffer, -20, -30)
        kms.commit()
        assert len(assert_shows(capd, output, kms)) == 10
        for plane in [*overlays, cursor]:
            kms.hide(plane)
        kms.commit()
        assert len(assert_shows(capd, output, kms)) == 1


def test_parts_of_framebuffers_turned(capd):
    with KmsPlanes(capd.vm, "/dev/dri/card1", WIDTH, HEIGHT) as kms:
        primary, overlays, cursor = kms.of_type("primary")[0], kms.of_type("overlay"), kms.of_type("cursor")[0]
        kms.show(primary, kms.buffer("XR24", noise(1, 700, 500)), src=(60, 20, WIDTH, HEIGHT))
        # vkms writes its rows back where the uppermost plane has them: it is to be upright
        kms.show(cursor, kms.buffer("AR24", pattern.cursor()), 30, 40)
        buffer = kms.buffer("AR24", noise(2, 110, 80, opaque=False))
        for i, rotation in enumerate([ROTATE_90, ROTATE_0, ROTATE_180, ROTATE_270, ROTATE_0 | REFLECT_X, ROTATE_0 | REFLECT_Y]):
            kms.show(overlays[i], buffer, -10 + 95 * i, [40, 300][i % 2], src=(7, 11, 100, 60), rotation=rotation)
        kms.commit()
        capd.grant()
        assert_shows(capd, output_of(capd, "vkms"), kms)


def test_ioctls_for_a_frame(capd):
    """What it costs, as capture.h says: 3, 1 for each plane there is, 4 more for each that shows something."""
    with Painter(capd.vm, n=3) as painter:
        capd.grant()
        output = output_of(capd, "virtio_gpu")
        assert capd.ioctls(output) == 3 + 2 + 4
        painter.cursor(1, 1)
        assert capd.ioctls(output) == 3 + 2 + 2 * 4
    with KmsPlanes(capd.vm, "/dev/dri/card1", WIDTH, HEIGHT) as kms:
        kms.show(kms.of_type("primary")[0], kms.buffer("XR24", noise(1, WIDTH, HEIGHT)))
        kms.commit()
        capd.grant()
        assert capd.ioctls(output_of(capd, "vkms")) == 3 + 10 + 4


# --- the whole agent

@pytest.fixture
def agent(machine):
    machine.vm.loadvm("installed")
    machine.run(f"systemctl start {' '.join(UNITS)}", check=True)
    machine.configure()
    machine.settle_enrolled()
    return machine


def smooth(seed, width, height):
    """Colours that JPEG leaves as they are, XRGB8888."""
    y, x = numpy.mgrid[0:height, 0:width]
    return numpy.stack([x * 200 // width, y * 200 // height, numpy.full_like(x, seed), 0 * x], axis=2).astype(numpy.uint8)


def show_scenes(kms):
    """Shows the first of two scenes. Returns a function that shows one, and what the card makes of each."""
    primary, overlays, cursor = kms.of_type("primary")[0], kms.of_type("overlay"), kms.of_type("cursor")[0]
    translucent = smooth(90, 300, 200) // 2
    translucent[..., 3] = 140
    rgb565 = (numpy.mgrid[0:80, 0:200][1] // 8).astype("<u2").view(numpy.uint8).reshape(80, 200, 2)
    backgrounds, pointer = [kms.buffer("XR24", smooth(blue, WIDTH, HEIGHT)) for blue in (200, 40)], kms.buffer("AR24", pattern.cursor())
    kms.show(overlays[0], kms.buffer("AR24", translucent), -50, 60)
    kms.show(overlays[1], kms.buffer("RG16", rgb565), 150, 200)

    def show(i):
        kms.show(primary, backgrounds[i])
        kms.show(cursor, pointer, [300, 620][i], [150, 400][i])
        kms.commit()

    made = []
    for i in (1, 0):
        show(i)
        made.insert(0, kms.picture())
    return show, made


def like(image, made):
    return image.shape == made.shape and numpy.abs(image.astype(int) - made).mean() <= MEAN


def test_a_format_that_nobody_can_decode(agent, viewer, tmp_path):
    """It is a gap that names it, on D-Bus too. What is shown before and after is recorded as the card has composed it, and nothing in
    between."""
    with KmsPlanes(agent.vm, "/dev/dri/card1", WIDTH, HEIGHT) as kms:
        show, (first, second) = show_scenes(kms)
        assert not like(first, second)
        with Recording(agent, viewer, tmp_path) as recording:
            # After those of the machine's other card.
            name = agent.run("basename /sys/class/drm/card1-Virtual-*", check=True).output.decode().strip().removeprefix("card1-")
            status = agent.wait("vkms is there", lambda s: any(o["name"] == name for o in s["Outputs"]))
            display = next(o["id"] for o in status["Outputs"] if o["name"] == name)

            def shown(segments):
                return [picture.image for picture in pictures(segments) if picture.output == display]

            recording.until("the first scene", lambda segments: any(like(image, first) for image in shown(segments)))
            kms.show(kms.of_type("primary")[0], kms.buffer("XR48", numpy.full((HEIGHT, WIDTH, 8), 0x77, numpy.uint8)))
            kms.commit()
            status = agent.wait("it is named", lambda s: "XR48" in s["LastError"])
            assert (status["State"], status["Recording"]) == ("degraded", recording.id)
            assert name in status["LastError"] and "DRM_FORMAT_MOD_LINEAR" in status["LastError"]
            show(1)
            segments = recording.until("the second scene", lambda segments: any(like(image, second) for image in shown(segments)))
            status = agent.wait("nothing is wrong", lambda s: not s["LastError"])
            assert status["State"] == "recording"
    assert [gap for gap in gaps(segments) if gap.output in (display, ALL)] == [(display, UNDECODABLE, *struct.unpack("<I", b"XR48"), 0)]
    assert all(like(image, first) or like(image, second) for image in shown(segments))
