"""capd on Linux 6.12 with two cards: virtio-gpu, which tells of hotspots there, and vkms with overlays, rotation and
vblank."""

import numpy
import pytest

from vm import Painter, Vm, build_image, pattern

from .kmsplanes import KmsPlanes
from .machine import DMABUF, Capd

pytestmark = pytest.mark.vm

PRIMARY, CURSOR, OVERLAY = 1, 2, 0
PREMULTIPLIED = 1
REFLECT_X, REFLECT_Y = 16, 32
WIDTH, HEIGHT = 640, 480  # less to copy to and from the guest


@pytest.fixture(scope="module")
def machine(build, tmp_path_factory):
    image = build_image(build / "tests" / "vm" / "src", kernel="6.12")
    # With two processors this kernel crashes in emulation, seldom: QEMU 7.2 and code that the kernel patches.
    with Vm(image, tmp_path_factory.mktemp("capd612"), cpus=1) as vm:
        vm.put(build / "tests" / "vm" / "src" / "kmsplanes", "/usr/local/bin/kmsplanes")
        vm.run("modprobe vkms enable_overlay=1 enable_cursor=1 enable_writeback=0 && udevadm settle && test -e /dev/dri/card1",
               check=True)
        capd = Capd(vm, build)
        vm.savevm("installed")
        yield capd


@pytest.fixture
def capd(machine):
    machine.vm.loadvm("installed")
    return machine


def noise(seed, width, height):
    """Pixels with nothing regular in them: XRGB8888 in memory."""
    return numpy.random.default_rng(seed).integers(0, 256, (height, width, 4), numpy.uint8)


def output_of(capd, driver):
    answers = capd.probe("outputs")[1:]
    return next(a.id for a in answers if a["driver"] == driver)


def rectangle(text):
    return tuple(map(int, text.split(",")))


def assert_shows(capd, output, kms):
    """capd tells of exactly what is on the planes, from the lowest to the highest, and of these very pixels."""
    planes = capd.planes(output)
    assert [p.plane for p in planes] == sorted(kms.shown)  # vkms makes them in this order
    assert [p.zpos for p in planes] == sorted(p.zpos for p in planes)
    for i, plane in enumerate(planes):
        shown = kms.shown[plane.plane]
        assert (plane["format"], rectangle(plane["src"]), rectangle(plane["crtc"])) == \
            (shown.buffer.format, shown.src, shown.crtc)
        if shown.rotation:
            assert plane.rotation == shown.rotation
        frame, pixels = capd.pixels(output, i)
        assert frame.plane == plane.plane
        assert (pixels == shown.buffer.pixels).all()
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
        kms.show(overlays[0], kms.buffer("AR24", noise(2, 200, 100)), 50, 60)
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
            kms.show(overlay, kms.buffer("XR24", noise(10 + i, 120, 90)), [-40, WIDTH - 24][i % 2], -30 + 60 * i)
        kms.commit()
        assert len(assert_shows(capd, output, kms)) == 10
        for plane in [*overlays, cursor]:
            kms.hide(plane)
        kms.commit()
        assert len(assert_shows(capd, output, kms)) == 1


def test_part_of_a_framebuffer_turned(capd):
    with KmsPlanes(capd.vm, "/dev/dri/card1", WIDTH, HEIGHT) as kms:
        primary, overlay = kms.of_type("primary")[0], kms.of_type("overlay")[0]
        kms.show(primary, kms.buffer("XR24", noise(1, 700, 500)), src=(60, 20, WIDTH, HEIGHT))
        buffer = kms.buffer("XR24", noise(2, 100, 60))
        capd.grant()
        for rotation in [1, 2, 4, 8, 1 | REFLECT_X, 1 | REFLECT_Y, 2 | REFLECT_X, 8 | REFLECT_Y]:
            kms.show(overlay, buffer, 30, 40, rotation=rotation)
            kms.commit()
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
