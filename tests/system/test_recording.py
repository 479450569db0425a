"""The main job: what was on the screen comes back out of the bucket."""

import re
import subprocess

import numpy
import pytest

from vm.painter import Painter

from .checks import judge_exact, judge_fresh, judge_present, painted, record
from .machine import bucket_keys
from .pictures import pictures
from .recording import Recording

pytestmark = pytest.mark.vm


def test_decoded_frames_are_what_was_painted(machine, viewer, tmp_path):
    judge_exact(*painted(machine, viewer, tmp_path, (7, 8, 1000, 7), 1))


def test_a_picture_is_not_stale(machine, viewer, tmp_path):
    judge_fresh(*painted(machine, viewer, tmp_path, range(20, 26), 1.5))


def test_front_buffer_drawing_is_recorded(machine, viewer, tmp_path):
    """The framebuffer's id stays the same while the picture changes."""
    judge_present(*painted(machine, viewer, tmp_path, (3, 4), 1, options=["--front"]))


def test_both_decoders_agree_on_a_scrolling_terminal(machine, viewer, build, tmp_path):
    """A real compositor, and a picture that moves: streamsight-export against the decoder written from the document."""
    def inspect(segments):
        return subprocess.run([build / "cli" / "streamsight-inspect", *segments], stdout=subprocess.PIPE, text=True).stdout

    machine.run("systemctl start weston-desk desk-terminal", timeout=120, check=True)
    try:
        with Recording(machine, viewer, tmp_path) as recording:
            recording.until("something has moved", lambda segments: "MOVE" in inspect(segments), pause=6)
    finally:
        machine.run("systemctl stop desk-terminal weston-desk", check=True)
    segments = viewer.download(recording.id, tmp_path)
    frames = pictures(segments)
    assert len(frames) >= 3
    raw = subprocess.run([build / "cli" / "streamsight-export", "--raw", *segments], check=True, stdout=subprocess.PIPE).stdout
    height, width = frames[0].image.shape[:2]
    exported = numpy.frombuffer(raw, numpy.uint8).reshape(-1, height, width, 4)
    assert len(exported) == len(frames)
    for frame, other in zip(frames, exported):
        assert numpy.array_equal(frame.image, other[:, :, 2::-1])


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


RULES = "/etc/polkit-1/rules.d/40-test.rules"
RULE = """polkit.addRule(function(action, subject) {
    if (action.id == "org.streamsight.Agent1.stop" && subject.user == "desk")
        return polkit.Result.YES;
});
"""


def test_a_rule_of_polkit_lets_one_user_do_one_thing(machine):
    """As docs/install.md describes it: an administrator may leave stopping to somebody, and with it nothing else."""
    def by(user, command):
        return machine.run(f"setpriv --reuid={user} --regid=nogroup --clear-groups streamsight {command} </dev/null")

    def refused(user, command):
        result = by(user, command)
        return result.rc != 0 and b"administrator must authenticate" in result.output

    with Painter(machine.vm, n=30):
        machine.run("streamsight start", check=True)
        machine.wait("it records", lambda s: s["State"] == "recording" and s["Outputs"])
        assert refused("desk", "stop"), "without a rule"
        machine.vm.write(RULES, RULE)
        try:
            # polkitd is told by inotify, and reads it some moments later
            machine.run("for i in $(seq 50); do setpriv --reuid=desk --regid=nogroup --clear-groups streamsight stop </dev/null && exit; "
                        "sleep 0.2; done; exit 1", check=True)
            machine.wait("it has stopped", lambda s: s["State"] == "idle")
            for command in ("start", "flush"):
                assert refused("desk", command), command
            assert refused("nobody", "stop")
            assert machine.status()["State"] == "idle"
        finally:
            machine.run(f"rm {RULES}", check=True)
