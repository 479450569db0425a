"""The main job: what was on the screen comes back out of the bucket."""

import re
import subprocess

import numpy
import pytest

from vm import pattern
from vm.painter import Painter

from .machine import bucket_keys
from .pictures import pictures

pytestmark = pytest.mark.vm

# What JPEG at 4:4:4 and quality 85 may change of the painter's picture, in steps of 255 (tests/vm/pattern.py).
WORST, MEAN = 40, 3.0


def record(machine, viewer, while_recording):
    """Starts a recording, runs while_recording(), stops, and waits until all of it is in the bucket. Returns its id."""
    machine.run("streamsight start", check=True)
    status = machine.wait("the recording has begun", lambda s: s["State"] == "recording" and s["Outputs"])
    while_recording()
    machine.run("streamsight stop", check=True)
    viewer.wait_finished(status["Recording"])
    return status["Recording"]


def test_decoded_frames_are_what_was_painted(machine, viewer, tmp_path):
    shown = []

    def paint():
        for n in (7, 8, 1000, 7):
            shown.append(painter.show(n))
            machine.run("sleep 1")

    with Painter(machine.vm) as painter:
        recording = record(machine, viewer, paint)

    frames = pictures(viewer.download(recording, tmp_path))
    assert frames, f"the recording holds no picture\n{machine.journal()}"
    seen = []
    for frame in frames:
        n, output = pattern.read(frame.image)  # refuses a black, torn, turned or foreign picture
        worst, mean = pattern.error(frame.image, n, output)
        assert worst <= WORST and mean <= MEAN, f"picture {n}: differs by up to {worst}, {mean:.2f} on average"
        if not seen or seen[-1] != n:
            seen.append(n)
    assert seen[-4:] == [7, 8, 1000, 7], f"shown 7 8 1000 7, recorded {seen}"


def test_a_picture_is_not_stale(machine, viewer, tmp_path):
    """Each picture is recorded within a second of its appearance and none after its end."""
    with Painter(machine.vm) as painter:
        shown = []

        def paint():
            for n in range(20, 26):
                shown.append(painter.show(n))
                machine.run("sleep 0.7")

        recording = record(machine, viewer, paint)

    frames = [(frame.realtime, pattern.read(frame.image)[0])
              for frame in pictures(viewer.download(recording, tmp_path))]
    for this, following in zip(shown, shown[1:]):
        first = min(time for time, n in frames if n == this.n)
        last = max(time for time, n in frames if n == this.n)
        assert this.paint_realtime / 1e9 <= first <= this.shown_realtime / 1e9 + 1.0, f"picture {this.n} came late"
        assert last <= following.shown_realtime / 1e9 + 0.3, f"picture {this.n} was recorded after it had gone"


def test_front_buffer_drawing_is_recorded(machine, viewer, tmp_path):
    """The framebuffer's id stays the same while the picture changes."""
    with Painter(machine.vm, options=["--front"]) as painter:
        def paint():
            for n in (3, 4):
                painter.show(n)
                machine.run("sleep 1")

        recording = record(machine, viewer, paint)
    seen = {pattern.read(frame.image)[0] for frame in pictures(viewer.download(recording, tmp_path))}
    assert {3, 4} <= seen


def test_both_decoders_agree_on_a_scrolling_terminal(machine, viewer, build, tmp_path):
    """A real compositor, and a picture that moves: streamsight-export against the decoder written from the document."""
    machine.run("systemctl start weston-desk desk-terminal", timeout=120, check=True)
    try:
        recording = record(machine, viewer, lambda: machine.run("sleep 6"))
    finally:
        machine.run("systemctl stop desk-terminal weston-desk", check=True)
    segments = viewer.download(recording, tmp_path)
    frames = pictures(segments)
    assert len(frames) >= 3
    raw = subprocess.run([build / "cli" / "streamsight-export", "--raw", *segments], check=True, stdout=subprocess.PIPE).stdout
    height, width = frames[0].image.shape[:2]
    exported = numpy.frombuffer(raw, numpy.uint8).reshape(-1, height, width, 4)
    assert len(exported) == len(frames)
    for frame, other in zip(frames, exported):
        assert numpy.array_equal(frame.image, other[:, :, 2::-1])
    inspected = subprocess.run([build / "cli" / "streamsight-inspect", *segments], stdout=subprocess.PIPE, text=True)
    assert "MOVE" in inspected.stdout, "nothing was found to have moved"


def test_an_unchanged_screen_costs_no_frames(machine, viewer, tmp_path):
    with Painter(machine.vm, n=5):
        recording = record(machine, viewer, lambda: machine.run("sleep 3"))
    assert len(pictures(viewer.download(recording, tmp_path))) <= 2


def test_the_bucket_keeps_its_copy_when_told_twice(machine, stack, viewer):
    """The key holds the hash and the object is written once: what is listed is what lies there, and no more."""
    with Painter(machine.vm, n=6):
        recording = record(machine, viewer, lambda: machine.run("sleep 1"))
    segments = viewer.segments(recording)
    keys = [key for key in bucket_keys(stack) if recording in key]
    assert len(keys) == len(segments)
    for segment in segments:
        assert any(key.endswith(f"/{segment['sequence']:08}-{segment['sha256']}.sss") for key in keys)


def test_the_interface_is_there_for_everyone(machine):
    text = machine.run("setpriv --reuid=nobody --regid=nogroup --clear-groups "
                          "busctl introspect org.streamsight.Agent1 /org/streamsight/Agent1", check=True).output.decode()
    for name in ("State", "Recording", "RecordingSince", "Reason", "DeviceId", "LastError", "Version"):
        assert re.search(rf"^\.{name}\s+property", text, re.M), f"no property {name}:\n{text}"
    for name in ("Enroll", "Start", "Stop", "Flush"):
        assert re.search(rf"^\.{name}\s+method", text, re.M), f"no method {name}:\n{text}"
    status = machine.run("setpriv --reuid=nobody --regid=nogroup --clear-groups streamsight status", check=True)
    assert b"idle" in status.output.lower()


@pytest.mark.parametrize("command", ["start", "stop", "flush"])
def test_an_ordinary_user_changes_nothing(machine, command):
    before = machine.status()
    result = machine.run(f"setpriv --reuid=nobody --regid=nogroup --clear-groups streamsight {command} </dev/null")
    assert result.rc != 0
    assert b"administrator must authenticate" in result.output, result.output
    assert machine.status()["State"] == before["State"]
