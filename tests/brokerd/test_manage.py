"""What an administrator does to the agent as a whole: a new key, leaving, reading the configuration again, a report."""

import json
import time

import pytest

from . import wire
from .test_control_plane import Segment, begin, text


def test_another_key(enrolled, stack):
    """Recording goes on, what is signed next is signed with the new key, and the old one no longer gets a token."""
    uploadd, _, record = begin(enrolled)
    first = Segment(record.recording, 0, b"first" * 100)
    first.announce(uploadd)
    first.upload(uploadd, stack.ca)
    before, old = enrolled.status()["KeyThumbprint"], (enrolled.state / "device.key").read_bytes()
    done = enrolled.cli("rotate-key")
    assert done.returncode == 0, done.stderr
    after = enrolled.status()["KeyThumbprint"]
    assert after != before and after in done.stdout
    assert sorted(p.name for p in enrolled.state.iterdir()) == ["device.json", "device.key", "recordings.json"]
    assert (enrolled.state / "device.key").read_bytes() != old
    second = Segment(record.recording, 1, b"second" * 100, first)
    second.announce(uploadd)
    second.upload(uploadd, stack.ca)
    assert uploadd.expect(wire.RELEASE)

    enrolled.stop()
    enrolled.run()
    assert enrolled.wait(lambda s: s["PolicyRevision"], "the new key gets a token")["KeyThumbprint"] == after
    enrolled.stop()
    (enrolled.state / "device.key").write_bytes(old)
    enrolled.run()
    assert "client_invalid" in enrolled.wait(lambda s: s["LastError"], "the old key is refused")["LastError"]


@pytest.mark.parametrize("taken", [False, True])
def test_a_crash_between_the_keys(enrolled, taken):
    """Whether or not the control plane has taken the new key, the device goes on with both on disk."""
    old = (enrolled.state / "device.key").read_bytes()
    assert enrolled.cli("rotate-key").returncode == 0
    new, thumbprint = (enrolled.state / "device.key").read_bytes(), enrolled.status()["KeyThumbprint"]
    enrolled.kill()
    present, following = (old, new) if taken else (new, old)
    (enrolled.state / "device.key").write_bytes(present)
    (enrolled.state / "device.key.next").write_bytes(following)
    (enrolled.state / "device.key.next").chmod(0o600)
    enrolled.run()
    assert enrolled.wait(lambda s: s["PolicyRevision"], "it has a token")["KeyThumbprint"] == thumbprint
    if taken:
        assert (enrolled.state / "device.key").read_bytes() == new
        assert not (enrolled.state / "device.key.next").exists()


def test_a_key_that_cannot_be_told(enrolled, stack):
    enrolled.wait(lambda s: s["PolicyRevision"], "it has a token")
    before = enrolled.status()["KeyThumbprint"]
    stack.apid.stop()
    try:
        done = enrolled.cli("rotate-key")
        assert done.returncode != 0 and "try again" in done.stderr
        assert enrolled.status()["KeyThumbprint"] == before
    finally:
        stack.apid.run()
    next_key = (enrolled.state / "device.key.next").read_bytes()
    assert enrolled.cli("rotate-key").returncode == 0
    assert (enrolled.state / "device.key").read_bytes() == next_key


def test_leaving(enrolled, stack, code):
    uploadd, capd, record = begin(enrolled)
    capd.expect(wire.GRANT)
    device = enrolled.status()["DeviceId"]
    done = enrolled.cli("unenroll")
    assert done.returncode == 0 and "no longer enrolled" in done.stdout and "could not be told" not in done.stdout
    assert capd.expect(wire.REVOKE)
    assert uploadd.expect(wire.STOP).recording == record.recording
    assert uploadd.expect(wire.RESTART)
    status = enrolled.status()
    assert (status["State"], status["DeviceId"], status["KeyThumbprint"], status["Recording"]) == ("unenrolled", "", "", "")
    assert list(enrolled.state.iterdir()) == []
    listed, = (line for line in json.loads(stack.apid.admin("device", "list", "--json")) if line["id"] == device)
    assert listed["state"] == "revoked"
    uploadd.close()

    again = enrolled.enrol(code())
    assert again != device and enrolled.uploadd().expect(wire.RECORD)


def test_leaving_without_a_control_plane(enrolled, stack):
    enrolled.wait(lambda s: s["PolicyRevision"], "it has a token")
    stack.apid.stop()
    try:
        done = enrolled.cli("unenroll")
    finally:
        stack.apid.run()
    assert done.returncode == 0 and "could not be told" in done.stdout
    assert list(enrolled.state.iterdir()) == []


def configure(agent, **changes):
    """Writes agent.conf as the next start would."""
    agent.config |= changes
    from .agent import _CONFIG
    (agent.dir / "agent.conf").write_text(_CONFIG.format(**agent.config))


def test_reading_the_configuration_again(enrolled):
    uploadd, capd, record = begin(enrolled)
    assert record.frame_interval == 200000000
    configure(enrolled, fps=2)
    done = enrolled.cli("reload")
    assert (done.returncode, done.stdout) == (0, "")
    assert uploadd.expect(wire.RECORD).frame_interval == 500000000

    configure(enrolled, fps=0)
    done = enrolled.cli("reload")
    assert done.returncode != 0 and "stays as it was" in done.stderr and "MaxFramesPerSecond= is out of range" in done.stderr
    assert uploadd.silent(1)
    configure(enrolled, fps=2)

    # Pins: brokerd's own at once, and uploadd's by its restart.
    hosts = enrolled.config["hosts"]
    configure(enrolled, hosts="elsewhere.example.org")
    assert enrolled.cli("reload").returncode == 0
    assert uploadd.expect(wire.RESTART)
    assert "is not pinned" in enrolled.status()["LastError"]
    configure(enrolled, hosts=hosts)
    assert enrolled.cli("reload").returncode == 0
    assert uploadd.expect(wire.RESTART)

    url = enrolled.config["url"]
    configure(enrolled, url="https://other.example.org")
    done = enrolled.cli("reload")
    assert done.returncode == 0 and "systemctl restart streamsight-brokerd" in done.stdout
    configure(enrolled, url=url)
    assert enrolled.cli("reload").stdout == ""


def test_a_report_reaches_the_control_plane(agent, code, stack):
    """After a problem that is new, without being asked. With uploadd there from the beginning it is the first one."""
    agent.run()
    uploadd = agent.uploadd()
    agent.enrol(code())
    record = uploadd.expect(wire.RECORD)
    capd = agent.capd()  # noqa: F841, closed when forgotten
    device = agent.status()["DeviceId"]
    uploadd.send(wire.FAILED, recording=record.recording, sequence=0, error=-5, text=b"secret")
    end = time.monotonic() + 40
    while not (found := stack.postgres.sql(f"SELECT report FROM streamsight.diagnostic WHERE device_id = '{device}'",
                                            "streamsight")):
        assert time.monotonic() < end
        time.sleep(0.5)
    report = json.loads(found.splitlines()[0])
    assert "upload" in {problem["kind"] for problem in report["problems"]} and "secret" not in found


def test_a_report(enrolled, stack):
    uploadd, _, record = begin(enrolled)
    first = Segment(record.recording, 0, b"first" * 100)
    first.announce(uploadd)
    first.upload(uploadd, stack.ca)
    uploadd.expect(wire.RELEASE)
    uploadd.send(wire.FAILED, recording=record.recording, sequence=0, error=-5, text=b"secret https://example.org/?X-Amz-Signature=1")
    enrolled.wait(lambda s: "secret" in s["LastError"], "the failure is known")
    done = enrolled.cli("diagnostics")
    report = json.loads(done.stdout)
    assert report["state"] == "recording" and report["recording"] is True and report["policy_revision"] >= 1
    assert report["counters"] == {"recordings": 1, "segments_complete": 1, "uploads_failed": 1}
    problem, = (p for p in report["problems"] if p["kind"] == "upload")
    assert problem["stands"] is True and problem["count"] == 1
    for hidden in ("secret", "https:", stack.gateway.url, "Example Corp", text(record.recording), enrolled.status()["DeviceId"],
                   enrolled.config["hosts"]):
        assert hidden not in done.stdout
