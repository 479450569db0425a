"""capd on a real DRM driver: what it shows, to whom, and when not."""

import errno
import re
import time

import pytest

from vm import Painter, Vm, build_image, pattern

from .machine import (CONTROL, FRAME, MEMFD, NO_GRANT, OFF, TOO_SOON, UNPLUGGED, Capd)

pytestmark = pytest.mark.vm

WHOLE, AGAIN, TORN = range(1, 4)


@pytest.fixture(scope="module")
def image(build):
    return build_image(build / "tests" / "vm" / "src")


@pytest.fixture(scope="module")
def booted(image, build, tmp_path_factory):
    with Vm(image, tmp_path_factory.mktemp("capd"), outputs=2) as vm:
        capd = Capd(vm, build)
        vm.savevm("installed")
        yield capd


@pytest.fixture
def capd(booted):
    """A freshly booted machine: nothing paints, capd has not been started yet."""
    booted.vm.loadvm("installed")
    return booted


@pytest.fixture
def painter(capd):
    with Painter(capd.vm, n=7) as painter:
        yield painter


def assert_shows(picture, n, output):
    expected = pattern.picture(n, output, picture.shape[1], picture.shape[0])
    wrong = int((picture != expected).any(axis=2).sum())
    assert wrong == 0, f"{wrong} of {picture.shape[0] * picture.shape[1]} pixels differ from picture {n}"


# --- what it shows

def test_frames_are_the_painters_pixels(capd, painter):
    answers = capd.probe("outputs")
    assert [(a["name"], a["driver"], a.width, a.height) for a in answers[1:]] == \
        [(name, "virtio_gpu", width, height) for name, width, height in painter.outputs]
    assert len(painter.outputs) == 2
    capd.grant()
    identities = set()
    for n in (7, 8, 123456, 7):
        painter.show(n)
        for output in (0, 1):
            frame, picture = capd.picture(output)
            assert_shows(picture, n, output)
            assert (frame.output, frame.n_fds, frame.received_fds, frame.n_planes, frame.type) == (output, 1, 1, 1, 1)
            assert (frame.width, frame.height) == painter.outputs[output][1:]
            assert frame["src"] == frame["crtc"] == f"0,0,{frame.width},{frame.height}"
            identities.add(frame["identity"])
    assert len(identities) >= 4
    assert frame.sequence == 8


def test_a_frame_is_not_stale(capd, painter):
    """The one after a flip shows the new picture, asked for by a client that stays connected."""
    capd.grant()
    sums = {}
    for n in (20, 21, 22, 20):
        painter.show(n)
        sums.setdefault(n, set()).add(capd.next()["sum"])
    assert all(len(s) == 1 for s in sums.values()) and len(set.union(*sums.values())) == 3


def test_drawing_into_the_shown_buffer_is_seen(capd):
    with Painter(capd.vm, n=1, options=["--front"]) as painter:
        capd.grant()
        for n in (1, 2):
            painter.show(n)
            assert_shows(capd.picture()[1], n, 0)


def test_mode_change_and_off(capd):
    with Painter(capd.vm, n=3, options=["--size=800x600"]) as painter:
        capd.grant()
        frame, picture = capd.picture()
        assert (frame.width, frame.height) == (800, 600)
        assert_shows(picture, 3, 0)
        painter.off()
        assert capd.next().reason == OFF
        listed, = capd.probe("outputs")
        assert (listed.n, listed.asleep) == (0, 3)
        painter.show(4)
        assert_shows(capd.picture()[1], 4, 0)
    with Painter(capd.vm, n=5) as painter:
        frame, picture = capd.picture()
        assert (frame.width, frame.height) == (1024, 768)
        assert_shows(picture, 5, 0)
        painter.off()
        capd.vm.run("echo off > /sys/class/drm/card0-Virtual-2/status", check=True)
        assert capd.next(1).reason == UNPLUGGED
        assert capd.probe("outputs")[0].asleep == 1


def test_the_cursor_is_a_plane_of_its_own(capd, painter):
    capd.grant()
    painter.cursor(300, 200)
    first, cursor = capd.planes()
    assert (first.type, first["crtc"]) == (1, "0,0,1024,768")
    assert (cursor.type, cursor["format"], cursor["crtc"], cursor["src"]) == (2, "AR24", "300,200,64,64", "0,0,64,64")
    assert cursor.zpos > first.zpos
    assert cursor["hotspot"] == "0,0"  # this kernel does not tell
    assert (capd.pixels(0, 1)[1] == pattern.cursor()).all()
    assert_shows(capd.picture()[1], 7, 0)
    # half out of the picture, on the left and above
    painter.cursor(-20, -30)
    assert capd.planes()[1]["crtc"] == "-20,-30,64,64"
    # moving it is no page flip, but counts as one
    painter.cursor(500, 600)
    moved = capd.planes()
    assert moved[1]["crtc"] == "500,600,64,64" and moved[0]["identity"] != first["identity"]
    assert capd.planes()[0]["identity"] == moved[0]["identity"]
    painter.cursor()
    assert len(capd.planes()) == 1
    assert len(capd.planes(1)) == 1


def test_a_flip_while_the_frame_is_read_is_noticed(capd, painter):
    capd.grant(interval_ms=60000)
    session = capd.session()
    frame = session.ask("next 0")
    assert session.ask("confirm")["whole"] == str(WHOLE)
    assert session.ask("next 0").reason == TOO_SOON
    assert session.ask("next 1").kind == "frame"
    painter.show(8)
    # it may be taken again at once, twice
    for whole in (AGAIN, AGAIN):
        assert session.ask("confirm").whole == whole
        again = session.ask("next 1")
        assert again.kind == "frame"
        painter.show(again.sequence)
    assert session.ask("confirm").whole == TORN
    assert session.ask("next 1").reason == TOO_SOON
    assert session.ask("next 0").reason == TOO_SOON
    # each only once
    assert session.ask("confirm").kind == "closed"
    assert frame.sequence == 1


def test_uploadd_is_told_when_displays_change(capd, painter):
    session = capd.session()
    painter.off()
    capd.rescan(cards=False)
    assert session.ask("hear")["n"] == "0"
    painter.show(8)
    capd.rescan(cards=False)
    assert session.ask("hear")["n"] == "2"


def test_cards_that_change_are_opened_anew(capd, painter):
    capd.probe("outputs")
    pid = capd.pid()
    capd.rescan(cards=True, time=1)  # it opened them later than that
    assert capd.probe("outputs")[0].n == 2
    assert capd.pid() == pid
    capd.rescan(cards=True, time=10**18)
    capd.grant()
    assert capd.next().kind == "frame"
    assert capd.pid() != pid
    assert capd.vm.run("systemctl show -P Result streamsight-capd", check=True).output.strip() == b"success"


def test_a_card_that_goes_and_comes_back(capd):
    driver = "/sys/bus/virtio/drivers/virtio_gpu"
    device = capd.vm.run(f"cd {driver} && ls -d virtio[0-9]*", check=True).output.decode().strip()
    with Painter(capd.vm, n=7):
        capd.grant()
        assert capd.next().kind == "frame"
    pid = capd.pid()
    capd.vm.run(f"echo {device} > {driver}/unbind", timeout=120, check=True)
    capd.probe("outputs")  # by this it notices, and ends
    capd.grant()
    assert capd.pid() != pid
    assert capd.next().reason == UNPLUGGED
    assert capd.probe("status", CONTROL)[0].n_cards == 0
    pid = capd.pid()
    capd.vm.run(f"echo {device} > {driver}/bind && udevadm settle", timeout=120, check=True)
    assert capd.probe("outputs")[0].n == 0
    capd.rescan(cards=True, time=10**18)
    with Painter(capd.vm, n=9):
        capd.grant()
        assert_shows(capd.picture()[1], 9, 0)
    assert capd.pid() != pid
    # no restart was a failure, and none came unasked
    assert "Failed" not in capd.journal()
    assert int(capd.vm.run("systemctl show -P NRestarts streamsight-capd", check=True).output) == 2


def test_outputs_that_never_were(capd, painter):
    capd.grant()
    assert capd.next(5).reason == UNPLUGGED
    assert capd.next(63).reason == UNPLUGGED
    assert capd.next(64).reason == NO_GRANT
    assert capd.next(0xFFFFFFFF).reason == NO_GRANT


# --- no frame without a grant

def test_no_grant_no_frame(capd, painter):
    answer = capd.next()
    assert (answer.kind, answer.reason, answer.not_before) == ("none", NO_GRANT, 0)
    capd.grant(outputs=2)
    assert capd.next(0).reason == NO_GRANT
    assert capd.next(1).kind == "frame"
    assert capd.revoke().left_ms == 0
    assert capd.next(1).reason == NO_GRANT
    assert capd.probe("status", CONTROL)[0].frames == 1


def test_too_soon(capd, painter):
    capd.grant(interval_ms=60000)
    answers = capd.probe("next 0 2")
    assert [a.kind for a in answers] == ["frame", "none"]
    assert answers[1].reason == TOO_SOON
    assert answers[1].not_before == answers[0].time + 60_000_000_000
    # a renewed grant is no way around it
    capd.grant(interval_ms=60000)
    assert capd.next().reason == TOO_SOON
    assert capd.next(1).kind == "frame"
    capd.grant(interval_ms=3000)
    capd.vm.run("sleep 3")
    assert capd.next().kind == "frame"


def test_a_grant_ends_by_itself(capd, painter):
    session = capd.session()
    assert capd.grant(lifetime_ms=5000).left_ms > 0
    # whoever gave it has disconnected by now
    assert session.ask("next 0").kind == "frame"
    capd.vm.run("sleep 5")
    assert session.ask("next 0").reason == NO_GRANT
    assert capd.probe("status", CONTROL)[0].left_ms == 0


def test_grants_wider_than_allowed_are_refused(capd, painter):
    for interval_ms, lifetime_ms in [(0, 1000), (9, 1000), (10, 61000), (10, 10**12)]:
        capd.grant()
        assert capd.next().kind == "frame"
        assert capd.grant(interval_ms=interval_ms, lifetime_ms=lifetime_ms).kind == "closed"
        assert capd.next().reason == NO_GRANT
    assert capd.journal().count("GRANT was refused") == 4


# --- no frame to anybody else

def test_others_cannot_connect(capd, painter):
    for socket, user in [(FRAME, "streamsight-brokerd"), (FRAME, "streamsight-capd"), (FRAME, "nobody"),
                         (CONTROL, "streamsight-uploadd"), (CONTROL, "nobody")]:
        answer, = capd.probe("status" if socket == CONTROL else "next 0", socket, user)
        assert (answer["failed"], answer.errno) == ("connect", errno.EACCES), (socket, user)


def test_others_are_refused_even_with_a_wrong_socket_mode(capd, painter):
    capd.grant()
    capd.vm.run(f"chmod 666 {FRAME} {CONTROL}", check=True)
    for socket, user in [(FRAME, "root"), (FRAME, "streamsight-brokerd"), (FRAME, "nobody"),
                         (CONTROL, "root"), (CONTROL, "streamsight-uploadd"), (CONTROL, "nobody")]:
        answer, = capd.probe("status" if socket == CONTROL else "next 0", socket, user)
        assert answer.kind == "closed", (socket, user)
        uid = int(capd.vm.run(f"id -u {user}", check=True).output)
        text = capd.vm.run("journalctl -q -o cat MESSAGE_ID=b846ec2617d649e9abece327115fab49", check=True).output.decode()
        assert re.search(rf"Refused a connection of uid {uid}, pid \d+", text)
        # it does not disturb those who may
        assert capd.next().kind == "frame"


def test_offences_end_the_connection_and_nothing_else(capd, painter):
    next_0 = "03010000" + "00" * 12
    capd.grant()
    assert capd.next().kind == "frame"
    pid = capd.pid()

    def descriptors():
        return capd.vm.run(f"ls /proc/{pid}/fd | wc -l", check=True).output

    before = descriptors()
    offences = ["raw 03010000", "raw 0301000000000000", f"raw {next_0[:-2]}", f"raw {next_0}ff", "raw 01020000",
                "raw 77770000", "raw 01", "raw 0100000001000000", "raw 0401000000000000", "raw @60000", "raw @70000",
                f"raw {next_0} 1", f"raw {next_0} 40", f"rude {next_0}", "rude 0101000000000000",
                "rude 0100000002000000", "rude 00"]
    for arguments in offences:
        answer, = capd.probe(arguments)
        assert answer.kind == "closed", (arguments, dict(answer))
    assert capd.journal().count("Closed the connection of streamsight-uploadd") == len(offences)
    assert capd.next().kind == "frame"
    assert capd.pid() == pid
    assert descriptors() == before


def test_the_newest_connection_counts(capd, painter):
    capd.grant()
    held = capd.vm.spawn("exec setpriv --reuid=streamsight-uploadd --regid=nogroup --clear-groups "
                         f"frameprobe {FRAME} hold 60")
    assert held.read_line() == "holding"
    assert capd.next().kind == "frame"
    assert held.read_line() == "closed"


# --- what it leaves to others

def test_a_compositor_can_start_after_it(capd):
    """capd was the first to open the card, which made it DRM master."""
    assert capd.probe("outputs")[0].kind == "outputs"
    pid = capd.pid()
    with Painter(capd.vm, n=9):
        capd.grant()
        assert_shows(capd.picture()[1], 9, 0)
    capd.vm.run("systemctl start weston-desk && systemctl stop desk-terminal", timeout=120, check=True)
    capd.grant()
    end = time.monotonic() + 50
    while True:
        # below the panel, whose clock goes on
        before = capd.vm.screendump()[40:]
        picture = capd.picture()[1][40:]
        after = capd.vm.screendump()[40:]
        if (before == after).all() and before.max() > 0:  # else something moved
            break
        assert time.monotonic() < end, capd.vm.journal("weston-desk")
    assert (picture == before).all()
    assert capd.pid() == pid


def test_the_receiver_is_told_to_read(capd, painter):
    """Whether memory can be mapped for writing all the same is the driver's choice: uploadd confines itself."""
    capd.grant()
    frame, tried = capd.probe("write 0")
    assert tried["mode"] == "read"


def test_nothing_leaks(capd, painter):
    """Neither descriptors nor dma-bufs nor memory, and each frame's handle is closed before the next one."""
    capd.count(2, 2)
    capd.watch_handles()
    before = capd.counted()
    capd.count(2, 1000)
    after = capd.counted()
    assert after[:2] == before[:2]
    assert after[2] <= before[2] + 128, f"resident memory grew from {before[2]} to {after[2]} KiB"
    assert capd.handles() == {1: 2000}


def test_no_capability_no_silence(capd, painter):
    """Without CAP_SYS_ADMIN it ends and says why."""
    capd.vm.write("/run/systemd/system/streamsight-capd.service.d/test.conf",
                  "[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=CAP_SYS_ADMIN\n")
    capd.vm.run("systemctl daemon-reload; systemctl start streamsight-capd")
    assert "AmbientCapabilities=CAP_SYS_ADMIN" in capd.journal()
    assert capd.vm.run("systemctl is-active streamsight-capd").rc != 0


def test_in_a_user_namespace_the_kernel_gives_no_handles(capd, painter):
    """CAP_SYS_ADMIN there is not the one that GETFB2 asks for."""
    # the namespace knows no other user, so uploadd is to be the one that stands for all others
    capd.vm.run("sed 's/^\\(streamsight-[ub][a-z]*:[^:]*\\):[0-9]*:/\\1:65534:/' /etc/passwd > /run/passwd", check=True)
    capd.vm.write("/run/systemd/system/streamsight-capd.service.d/test.conf",
                  "[Service]\nPrivateUsers=yes\nTasksMax=infinity\nBindReadOnlyPaths=/run/passwd:/etc/passwd\n")
    capd.vm.run("systemctl daemon-reload", check=True)
    capd.grant()
    assert capd.next().kind == "closed"
    assert "initial user namespace" in capd.journal()


def test_privileges_are_given_up(capd):
    capd.probe("outputs")
    pid = capd.pid()
    status = dict(line.split(":\t", 1) for line in
                  capd.vm.run(f"cat /proc/{pid}/status", check=True).output.decode().splitlines())
    admin = f"{1 << 21:016x}"
    assert [status[k] for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == \
        ["0" * 16, admin, admin, admin, "0" * 16]
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and status["Threads"] == "1"
    limits = capd.vm.run(f"cat /proc/{pid}/limits", check=True).output.decode()
    assert re.search(r"Max core file size +0 +0", limits)
    # not dumpable: its own user may not look at it
    assert capd.vm.run(f"setpriv --reuid=streamsight-capd --regid=nogroup --clear-groups ls /proc/{pid}/fd").rc != 0


def test_stops_and_starts_again(capd, painter):
    capd.grant()
    assert capd.next().kind == "frame"
    capd.vm.run("systemctl stop streamsight-capd", check=True)
    assert capd.vm.run("systemctl show -P Result streamsight-capd", check=True).output.strip() == b"success"
    assert capd.next().reason == NO_GRANT  # started by the socket, and it remembers no grant
    capd.vm.run("systemctl kill -s KILL streamsight-capd", check=True)
    assert capd.next().reason == NO_GRANT


def test_the_watchdog_is_fed_and_bites(capd, painter):
    capd.vm.write("/run/systemd/system/streamsight-capd.service.d/test.conf", "[Service]\nWatchdogSec=2\nTimeoutStopSec=1\n")
    capd.vm.run("systemctl daemon-reload && systemctl start streamsight-capd", check=True)
    pid = capd.pid()
    capd.vm.run("sleep 4")
    assert capd.pid() == pid
    capd.vm.run(f"kill -STOP {pid}; sleep 4", check=True)
    assert "watchdog" in capd.journal()
    capd.grant()
    assert capd.next().kind == "frame"


def test_without_a_card(image, build, tmp_path):
    with Vm(image, tmp_path / "vm", gpu="none") as vm:
        capd = Capd(vm, build)
        assert capd.probe("outputs")[0].n == 0
        capd.grant()
        assert capd.next().reason == UNPLUGGED
        assert capd.probe("status", CONTROL)[0].n_cards == 0
        assert "no graphics card" in capd.journal()
        assert vm.run("systemctl is-active streamsight-capd").rc == 0


@pytest.mark.parametrize("gpu", ["bochs", "qxl"])
def test_memory_that_only_capd_can_map(image, build, tmp_path, gpu):
    """bochs exports nothing in this kernel, and qxl what nobody can map: capd copies it."""
    with Vm(image, tmp_path / "vm", gpu=gpu) as vm, Painter(vm, n=5) as painter:
        capd = Capd(vm, build)
        capd.grant()
        for n in (5, 6):
            painter.show(n)
            frame, picture = capd.picture()
            assert (frame.memory, frame.n_planes, frame.modifier) == (MEMFD, 1, 0)
            assert_shows(picture, n, 0)
            assert (picture == vm.screendump()).all()
        # its memory is what it had, once the receiver has closed the copies
        capd.count(1, 20)
        before = capd.counted()
        capd.count(1, 100)
        after = capd.counted()
        assert after[:2] == before[:2]
        assert after[2] <= before[2] + 128, f"resident memory grew from {before[2]} to {after[2]} KiB"
        assert vm.run("systemctl is-active streamsight-capd").rc == 0


def test_copies_of_a_screen_that_flips_all_the_time(image, build, tmp_path):
    """No copy is whole there: each request gets one all the same, marked as torn."""
    with Vm(image, tmp_path / "vm", gpu="bochs") as vm, Painter(vm, n=5, options=["--flips"]):
        capd = Capd(vm, build)
        capd.grant()
        answers = capd.probe("next 0 10 20")
        frames = [a for a in answers if a.kind == "frame"]
        # On a slow machine two requests can reach capd at once, the second too soon.
        assert frames and {a.memory for a in frames} == {MEMFD} and {a.reason for a in answers if a not in frames} <= {TOO_SOON}
        session = capd.session()
        wholes = set()
        for _ in range(100):
            capd.grant()
            answer = session.ask("next 0")
            if answer.kind != "frame":  # there was a flip in each of its tries, and it is to be asked again
                assert answer.reason == TOO_SOON
                continue
            wholes.add(session.ask("confirm").whole)
            if TORN in wholes:
                break
        assert TORN in wholes and wholes <= {WHOLE, TORN}
