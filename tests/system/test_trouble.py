"""What goes wrong is said clearly, where it is looked for, and loses nothing."""

import subprocess

import pytest

from vm import pattern
from vm.painter import Painter

from .machine import bucket_keys
from .pictures import pictures

pytestmark = pytest.mark.vm


def test_a_wrong_code_is_refused(new_machine):
    result = new_machine.enrol("AAAA-AAAA-AAAA-AAAA-AAAA")
    assert result.rc != 0
    assert b"code" in result.output and b"new" in result.output.lower(), result.output
    status = new_machine.status()
    assert status["State"] == "unenrolled"
    assert "code" in status["LastError"]
    assert "code" in new_machine.journal()


def test_a_used_code_is_refused(new_machine, stack):
    code = stack.apid.enrolment_code(stack.company_id)
    assert new_machine.enrol(code).rc == 0
    device = new_machine.status()["DeviceId"]
    assert device
    new_machine.run("systemctl stop streamsight-brokerd && rm -r /var/lib/streamsight/* && "
                       "systemctl start streamsight-brokerd", check=True)
    result = new_machine.enrol(code)
    assert result.rc != 0 and b"code" in result.output
    assert code.encode() not in new_machine.run("journalctl --no-pager -q").output, "the code is in the journal"


@pytest.mark.parametrize("pin", ["elsewhere.example.org", "{s3.host}:{s3.https_port}/another-bucket"])
def test_an_unpinned_bucket_gets_nothing(enrolled_machine, stack, pin):
    enrolled_machine.configure(bucket=pin.format(s3=stack.s3))
    before = bucket_keys(stack)
    with Painter(enrolled_machine.vm, n=9):
        enrolled_machine.run("streamsight start; sleep 2; streamsight flush")
        status = enrolled_machine.wait("the refusal is reported", lambda s: "pinned" in s["LastError"])
        enrolled_machine.run("sleep 3")
    assert stack.s3.host in status["LastError"] and "agent.conf" in status["LastError"]
    assert status["State"] in (("idle", "degraded") if pin == "elsewhere.example.org" else ("recording", "degraded"))
    assert bucket_keys(stack) == before
    assert "pinned" in enrolled_machine.journal()


def flush(machine, viewer, recording):
    """Ends the recording's first segment, and waits until the bucket has it."""
    def is_complete(_):
        known = any(made["id"] == recording for made in viewer.recordings())  # it is announced with its first segment
        return known and {segment["state"] for segment in viewer.segments(recording)} == {"complete"}
    machine.run("sleep 1; streamsight flush", check=True)
    machine.wait("the first segment has arrived", is_complete)


def test_without_a_network_nothing_is_lost(enrolled_machine, viewer, tmp_path):
    with Painter(enrolled_machine.vm, n=11) as painter:
        enrolled_machine.run("streamsight start", check=True)
        recording = enrolled_machine.wait("it records", lambda s: s["State"] == "recording" and s["Outputs"])["Recording"]
        flush(enrolled_machine, viewer, recording)
        enrolled_machine.vm.set_network(False)
        painter.show(12)
        enrolled_machine.run("sleep 1; streamsight flush", check=True)
        enrolled_machine.wait("the segment waits", lambda s: s["SpoolSegments"] >= 1)
        status = enrolled_machine.wait("the outage is reported", lambda s: s["LastError"])
        assert status["State"] in ("recording", "offline", "degraded")
        enrolled_machine.vm.set_network(True)
        enrolled_machine.run("streamsight stop", check=True)
        viewer.wait_finished(recording, timeout=180)
    seen = {pattern.read(frame.image)[0] for frame in pictures(viewer.download(recording, tmp_path))}
    assert {11, 12} <= seen


@pytest.mark.parametrize("units", ["streamsight-uploadd", "streamsight-uploadd streamsight-brokerd"])
def test_a_killed_uploadd_leaves_what_had_arrived(enrolled_machine, viewer, units):
    """What it held in memory is lost; the control plane is told that the recording was interrupted, also by a brokerd that has
    not seen it."""
    machine = enrolled_machine
    with Painter(machine.vm, n=16) as painter:
        machine.run("streamsight start", check=True)
        first = machine.wait("it records", lambda s: s["State"] == "recording" and s["Outputs"])["Recording"]
        flush(machine, viewer, first)
        machine.run(f"systemctl kill -s KILL {units}", check=True)
        painter.show(17)
        second = machine.wait("it records again", lambda s: s["State"] == "recording" and s["Recording"] != first
                              and s["Outputs"])["Recording"]
        machine.run("sleep 1; streamsight stop", check=True)
        viewer.wait_finished(first)
        viewer.wait_finished(second)
    assert [segment["state"] for segment in viewer.segments(first)] == ["complete"]


@pytest.mark.parametrize("unit", ["capd", "brokerd"])
def test_each_process_may_be_killed(enrolled_machine, viewer, unit):
    """Recording goes on by itself afterwards, and what had been finished arrives."""
    with Painter(enrolled_machine.vm, n=13) as painter:
        enrolled_machine.run("streamsight start", check=True)
        first = enrolled_machine.wait("it records", lambda s: s["State"] == "recording" and s["Outputs"])["Recording"]
        enrolled_machine.run(f"sleep 1; systemctl kill -s KILL streamsight-{unit}", check=True)
        painter.show(14)
        status = enrolled_machine.wait("it records again", lambda s: s["State"] == "recording" and s["Outputs"])
        enrolled_machine.run("sleep 2; streamsight stop", check=True)
        viewer.wait_finished(first)
        viewer.wait_finished(status["Recording"])
    assert viewer.segments(first)
    assert viewer.segments(status["Recording"])


def test_a_damaged_segment_is_named(machine, viewer, build, tmp_path):
    with Painter(machine.vm, n=15):
        machine.run("streamsight start", check=True)
        recording = machine.wait("it records", lambda s: s["State"] == "recording" and s["Outputs"])["Recording"]
        machine.run("sleep 1; streamsight stop", check=True)
        viewer.wait_finished(recording)
    path, = viewer.download(recording, tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = subprocess.run([build / "cli" / "streamsight-export", "-o", tmp_path / "out.mkv", path],
                          capture_output=True, text=True)
    assert done.returncode != 0
    assert path.name in done.stderr and "byte" in done.stderr, done.stderr
