"""Displays that come, go, sleep and change while the agent records them: the recording goes on, and says what was not to be seen."""

import pytest

from vm import pattern
from vm.painter import Painter

from .checks import judge_exact
from .fixtures import confined
from .pictures import ALL, gaps, outputs, pictures
from .recording import Recording, shown

pytestmark = pytest.mark.vm

NO_GRANT, OFF, UNPLUGGED, NO_CAPTURE = 1, 2, 4, 7


@pytest.fixture(scope="module")
def machine(machine_image, stack, tmp_path_factory):
    with confined(machine_image, tmp_path_factory.mktemp("vm"), stack, outputs=2) as machine:
        machine.settle_enrolled()
        yield machine
        assert machine.denials() == []


@pytest.fixture
def record(machine, viewer, tmp_path):
    """record(): a recording, as context manager. Both displays are plugged in afterwards."""
    yield lambda restarts=0: Recording(machine, viewer, tmp_path, restarts)
    plug(machine, True, 0, 1)


def plug(machine, connected, *displays):
    for display in displays:
        # QEMU says itself that something is plugged in at the first one
        state = "off" if not connected else "on" if display else "detect"
        machine.run(f"set -- /sys/class/drm/card*-Virtual-*/status; shift {display}; echo {state} > $1", check=True)


def test_a_mode_that_changes(machine, record):
    with Painter(machine.vm, n=40) as painter, record() as recording:
        recording.until_shows(40, 0, 1)
        painter.mode(800, 600, 41)
        recording.until_shows(41, 0, 1, size=(800, 600))
        painter.mode(1024, 768, 42)
        segments = recording.until_shows(42, 0, 1)
    for display in (0, 1):
        sizes = [(width, height) for ident, width, height, _ in outputs(segments) if ident == display]
        assert sizes[0] == sizes[-1] == (1024, 768) and (800, 600) in sizes
        assert {n for n, *_ in shown(segments, display)} == {40, 41, 42}


def test_displays_that_sleep(machine, record):
    with Painter(machine.vm, n=50) as painter, record() as recording:
        recording.until_shows(50, 0, 1)
        painter.off(1)
        recording.until_gap(OFF, 1)
        painter.show(51)
        segments = recording.until_shows(51, 0)
        assert not [gap for gap in gaps(segments) if gap.output in (0, ALL)]
        painter.on(1)
        painter.show(52)
        recording.until_shows(52, 0, 1)
        painter.off()
        recording.until_gap(OFF, 0)
        painter.show(53)
        segments = recording.until_shows(53, 0, 1)
    assert {gap.reason for gap in gaps(segments)} == {OFF}


def test_a_display_that_is_unplugged_and_plugged_in(machine, record):
    with Painter(machine.vm, n=60) as painter, record() as recording:
        recording.until_shows(60, 0, 1)
        plug(machine, False, 1)
        painter.off(1)
        recording.until_gap(UNPLUGGED, 1)
        painter.show(61)
        recording.until_shows(61, 0)
        plug(machine, True, 1)
        painter.on(1)
        painter.show(62)
        segments = recording.until_shows(62, 0, 1)
    assert {gap.reason for gap in gaps(segments) if gap.output == 1} <= {OFF, UNPLUGGED}
    assert not [gap for gap in gaps(segments) if gap.output in (0, ALL)]
    assert {(ident, name) for ident, _, _, name in outputs(segments)} == {(0, "Virtual-1"), (1, "Virtual-2")}


def test_udev_tells_of_displays(machine):
    """While nothing records nobody asks for them: what the agent knows it has been told by brokerd's listening to udev."""
    with Painter(machine.vm, n=70) as painter:
        def known(*names):
            machine.run("udevadm trigger --action=change /sys/class/drm/card0", check=True)
            machine.wait(f"{names} are known", lambda s: [output["name"] for output in s["Outputs"]] == list(names))

        known("Virtual-1", "Virtual-2")
        for _ in range(2):
            painter.off(1)
            known("Virtual-1")
            painter.on(1)
            known("Virtual-1", "Virtual-2")
    assert machine.status()["State"] == "idle"


def test_no_display_at_boot(machine, record):
    """That is no failure: it waits, and says so in the recording."""
    with Painter(machine.vm, n=80) as painter:
        painter.off()
        plug(machine, False, 0, 1)
        machine.run("systemctl stop streamsight-capd streamsight-uploadd streamsight-brokerd && "
                    "systemctl start streamsight-uploadd streamsight-brokerd", check=True)
        machine.wait("the policy begins a recording", lambda s: s["State"] == "recording")
        machine.run("streamsight stop", check=True)
        machine.wait("nothing records", lambda s: s["State"] == "idle" and s["SpoolSegments"] == 0)
        with record() as recording:
            recording.until_gap(UNPLUGGED, ALL)
            status = machine.status()
            assert (status["State"], status["Outputs"], status["LastError"]) == ("recording", [], "")
            plug(machine, True, 0, 1)
            painter.show(81)
            recording.until_shows(81, 0, 1)


def test_a_card_that_goes_and_comes_back(machine, record):
    driver = "/sys/bus/virtio/drivers/virtio_gpu"
    device = machine.run(f"cd {driver} && ls -d virtio[0-9]*", check=True).output.decode().strip()
    with record(restarts=4) as recording:
        with Painter(machine.vm, n=90):
            recording.until_shows(90, 0, 1)
        machine.run(f"echo {device} > {driver}/unbind", timeout=120, check=True)
        machine.wait("no display is known", lambda s: not s["Outputs"])
        recording.until("a gap", gaps)
        machine.run(f"echo {device} > {driver}/bind && udevadm settle", timeout=120, check=True)
        plug(machine, True, 1)
        # it is card1 as long as somebody has memory of the old one
        card = machine.run("ls -t /dev/dri/card* | head -1", check=True).output.decode().strip()
        with Painter(machine.vm, n=91, options=[f"--card={card}"]) as painter:
            names = [name for name, *_ in painter.outputs]

            def last(segments):
                numbers = {name: ident for ident, _, _, name in outputs(segments)}
                return [shown(segments, numbers[name])[-1:] for name in names if name in numbers]
            segments = recording.until("both show it", lambda segments: last(segments) == [[(91, i, 1024, 768)] for i in (0, 1)])
    # a number stays one connector's
    numbered = {(ident, name) for ident, _, _, name in outputs(segments)}
    assert len(dict(numbered)) == len(numbered)
    # a capd that has just been started has no grant, until brokerd gives it one
    assert {gap.reason for gap in gaps(segments)} <= {NO_GRANT, OFF, UNPLUGGED, NO_CAPTURE}


@pytest.mark.parametrize("device, driver", [("bochs-display", "bochs-drm"), ("qxl", "qxl")])
def test_a_card_whose_memory_capd_has_to_copy(machine, record, device, driver):
    """bochs exports nothing, and qxl what nobody can map. They are plugged in and stay: this is the last test."""
    card = machine.plug_card(device, driver)
    with Painter(machine.vm, n=95, options=[f"--card={card}"]) as painter, record() as recording:
        (connector, *_), = painter.outputs

        def copied(segments):
            displays = {ident for ident, _, _, name in outputs(segments) if name == connector}
            return [picture for picture in pictures(segments) if picture.output in displays]
        recording.until("its display is seen", copied)
        painted = []
        for n in (96, 97):
            painted.append(painter.show(n))
            segments = recording.until(f"it shows {n}", lambda segments: pattern.read(copied(segments)[-1].image)[0] == n)
    judge_exact(painted, copied(segments))
