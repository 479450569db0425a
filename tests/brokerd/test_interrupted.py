"""Recordings whose end nobody has seen are finished by the next brokerd."""

import json

import pytest

from . import wire
from .test_control_plane import Segment, begin, text, viewer  # noqa: F401 (a fixture)


def listed(viewer, recording):  # noqa: F811
    found, = (item for item in viewer("/v1/recordings")["recordings"] if item["id"] == text(recording))
    return found


def end_reason(stack, recording):
    return stack.postgres.sql(f"SELECT end_reason FROM streamsight.recording WHERE id = '{text(recording)}'", dbname="streamsight")


def interrupted(enrolled, stack):
    """One segment has arrived, and another is lost with both processes."""
    uploadd, _, record = begin(enrolled)
    first = Segment(record.recording, 0, b"first" * 100)
    first.announce(uploadd)
    first.upload(uploadd, stack.ca)
    uploadd.expect(wire.RELEASE)
    Segment(record.recording, 1, b"lost" * 100, first).announce(uploadd)
    uploadd.expect(wire.UPLOAD)
    enrolled.kill()
    uploadd.close()
    return record.recording


def test_both_processes_are_gone(enrolled, stack, viewer):  # noqa: F811
    recording = interrupted(enrolled, stack)
    enrolled.run()
    uploadd = enrolled.uploadd(another=True)
    again = uploadd.expect(wire.RECORD).recording
    enrolled.wait_log(f"Recording {text(recording)} is complete: 1 segments")
    found = listed(viewer, recording)
    assert (found["state"], found["segments"]) == ("finished", 1)
    enrolled.status()  # answered by the loop: what was logged before has been written
    kept, = json.loads((enrolled.state / "recordings.json").read_text())["recordings"]
    assert kept["id"] == text(again)


def test_power_was_lost(enrolled, stack, viewer):  # noqa: F811
    """Another boot: no uploadd needs to come."""
    recording = interrupted(enrolled, stack)
    path = enrolled.state / "recordings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"boot": "0" * 31 + "1"}))
    enrolled.run()
    enrolled.wait_log(f"Recording {text(recording)} is complete: 1 segments")
    assert listed(viewer, recording)["state"] == "finished"
    enrolled.status()  # as above
    assert json.loads(path.read_text())["recordings"] == []


def test_uploadd_alone_was_kept(enrolled, stack, viewer):  # noqa: F811
    """The same process still holds what is missing."""
    recording = interrupted(enrolled, stack)
    enrolled.run()
    uploadd = enrolled.uploadd()
    uploadd.expect(wire.RECORD)
    assert listed(viewer, recording)["state"] != "finished"
    segment = Segment(recording, 1, b"lost" * 100, Segment(recording, 0, b"first" * 100))
    segment.announce(uploadd)
    segment.upload(uploadd, stack.ca)
    assert uploadd.expect(wire.RELEASE).sequence == 1
    uploadd.send(wire.FINISHED, recording=recording, n_segments=2)
    enrolled.wait_log(f"Recording {text(recording)} is complete: 2 segments")
    assert end_reason(stack, recording) == "stopped", "nothing of it is lost"


def test_an_end_that_the_control_plane_has_not_heard_of(enrolled, stack, viewer):  # noqa: F811
    """uploadd has forgotten the recording with FINISHED."""
    uploadd, _, record = begin(enrolled)
    segment = Segment(record.recording, 0, b"all" * 100)
    segment.announce(uploadd)
    segment.upload(uploadd, stack.ca)
    uploadd.expect(wire.RELEASE)
    stack.apid.stop()
    try:
        enrolled.cli("stop")
        uploadd.expect(wire.STOP)
        uploadd.send(wire.FINISHED, recording=record.recording, n_segments=1)
        enrolled.wait_log("Cannot finish recording")
        enrolled.kill()
    finally:
        stack.apid.run()
    enrolled.run()
    enrolled.wait_log(f"Recording {text(record.recording)} is complete: 1 segments")
    assert listed(viewer, record.recording)["state"] == "finished" and end_reason(stack, record.recording) == "stopped"


def test_one_that_is_none_keeps_no_other_from_its_end(enrolled, stack, viewer):  # noqa: F811
    recording = interrupted(enrolled, stack)
    path = enrolled.state / "recordings.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps(saved | {"boot": "0" * 31 + "1", "recordings": [{"id": "x"}, *saved["recordings"]]}))
    enrolled.run()
    enrolled.wait_log(f"Recording {text(recording)} is complete: 1 segments")


def test_ends_that_are_made_up(enrolled, stack):
    """They are not worth a write to the disk each, and there is one number of segments for each recording."""
    uploadd, _, record = begin(enrolled)
    stack.apid.stop()
    try:
        path = enrolled.state / "recordings.json"
        before = path.stat()
        for number in range(100):
            uploadd.send(wire.FINISHED, recording=bytes([number]) * 16, n_segments=1)
        enrolled.wait_log("Cannot finish recording 63636363-")
        assert path.stat() == before
        for n_segments in (2, 2, 3):
            uploadd.send(wire.FINISHED, recording=record.recording, n_segments=n_segments)
        enrolled.wait_log("FINISHED was refused")
        kept = {item["id"]: item for item in json.loads(path.read_text())["recordings"]}[text(record.recording)]
        assert kept["segments"] == 2
    finally:
        stack.apid.run()


@pytest.mark.parametrize("damage", ["", "[]", "{\"boot\": 1}", "x" * 70000])
def test_a_damaged_file_stops_nothing(lone, damage):
    path = lone.state / "recordings.json"
    path.write_text(damage)
    path.chmod(0o600)
    lone.run()
    assert "is not finished now" in lone.log()
